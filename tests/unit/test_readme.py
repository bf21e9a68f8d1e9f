"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from trempy_provider.cli.arguments import _COMMANDS, _DEAD_LETTER_ACTIONS
from trempy_provider.cli.errors import DONE, FAILED, WRONG_SETTINGS
from trempy_provider.config.reference import settings_reference_markdown

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- settings reference: begin -->", "<!-- settings reference: end -->"


def test_settings_reference_is_current():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    _, _, rest = readme.partition(BEGIN)
    reference, end, _ = rest.partition(END)

    assert end
    assert reference.strip() == settings_reference_markdown().strip(), "run `make reference`"


def test_every_command_and_every_exit_code_is_listed():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## The command `trempy`")[2].partition("\n## ")[0]
    listed = set(
        re.findall(r"`([a-z-]+)", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )

    assert {*_COMMANDS, "dead-letters", "suggest", "schema"} <= listed
    assert "|".join(_DEAD_LETTER_ACTIONS) in table.replace("\\|", "|")
    assert f"{DONE} done, {WRONG_SETTINGS} settings or usage, {FAILED} anything else" in table
