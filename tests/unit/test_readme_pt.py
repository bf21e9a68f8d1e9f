"""README.md and README.pt-BR.md say the same; when one changes alone, its sections are named."""

from __future__ import annotations

import pytest

from sandbox.readme_pt import (
    ENGLISH,
    PORTUGUESE,
    ReadmeError,
    find_changed,
    paired,
    read_recorded,
    with_record,
)

TEXT = "# Title\n\nText\n\n## Install\n\n```\n# no heading\n```\n\nRun `setup`.\n\n## Use\n\n- one\n"
TRANSLATED = "# Título\n\nTexto\n\n## Instalar\n\n```\n# nada\n```\n\nRode `setup`.\n\n## Usar\n\n- um\n"


def test_no_section_has_changed_since_the_translation() -> None:
    changed = list(find_changed(ENGLISH.read_text(encoding="utf-8"), PORTUGUESE.read_text(encoding="utf-8")))

    assert changed == [], "bring both languages to the same, then run `make readme-pt`"


def test_record_names_every_section_once() -> None:
    english, portuguese = (path.read_text(encoding="utf-8") for path in (ENGLISH, PORTUGUESE))

    assert len(read_recorded(portuguese)) == len(paired(english, portuguese))
    assert with_record(english, portuguese) == portuguese


def test_section_that_changes_in_one_language_alone_is_named() -> None:
    recorded = with_record(TEXT, TRANSLATED)

    assert list(find_changed(TEXT, recorded)) == []
    assert list(find_changed(TEXT.replace("Run", "Please run"), recorded)) == ["Install"]
    assert list(find_changed(TEXT.replace("# no heading", "# another"), recorded)) == ["Install"]
    assert list(find_changed(TEXT, recorded.replace("- um", "- o primeiro"))) == ["Use"]


@pytest.mark.parametrize(
    ("theirs", "seen"),
    [
        (TRANSLATED.replace("`setup`", "`instalar`"), "words in code of 'Install'"),
        (TRANSLATED.replace("- um\n", "- um\n- dois\n"), "points of lists of 'Use'"),
        (TRANSLATED.partition("## Usar")[0], "3 headings"),
    ],
    ids=["translated code", "one point more", "section missing"],
)
def test_translation_of_another_shape_is_refused(theirs: str, seen: str) -> None:
    with pytest.raises(ReadmeError, match=seen):
        with_record(TEXT, theirs)
