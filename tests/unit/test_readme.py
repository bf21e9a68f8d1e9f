"""The README says what the code does."""

from __future__ import annotations

from pathlib import Path

from trempy_provider.config.reference import settings_reference_markdown

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- settings reference: begin -->", "<!-- settings reference: end -->"


def test_settings_reference_is_current():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    _, _, rest = readme.partition(BEGIN)
    reference, end, _ = rest.partition(END)

    assert end
    assert reference.strip() == settings_reference_markdown().strip(), "run `make reference`"
