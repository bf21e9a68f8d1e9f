"""Dead letters as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from trempy_provider.cli.reports import facts_text
from trempy_provider.jobs.applying.letter_list import ListedLetter
from trempy_provider.jobs.dead_letters import SettleReport, ShownLetter
from trempy_provider.replication.readable import ReadableChange, Values

_NONE = "no dead letters"


def letters_text(letters: Sequence[ListedLetter]) -> str:
    """Write a list of letters, each with its reason."""
    return "\n\n".join(map(_letter_text, letters)) or _NONE


def shown_text(shown: ShownLetter) -> str:
    """Write a letter and its changes, transaction by transaction."""
    lines = [_letter_text(shown.letter)]
    for (xid, lsn, at), changes in groupby(shown.changes, key=_transaction):
        lines.append(f"\ntransaction {xid}, commit LSN {lsn}, committed {at:%Y-%m-%d %H:%M:%S.%f%z}")
        for change in changes:
            lines += _change_lines(change)
    if shown.problem is not None:
        lines.append(f"\nits changes cannot be shown: {shown.problem}")
    elif not shown.is_complete:
        lines.append("\n… and more: --limit shows them")
    return "\n".join(lines)


def settled_text(report: SettleReport) -> str:
    """Write what became of letters."""
    parts = []
    for letter in report.letters:
        facts = {name: value for name, value in letter.as_dict().items() if name != "message_id"}
        parts.append(f"dead letter {letter.message_id}\n{_indented(facts_text(facts))}")
    if any(letter.replayed and letter.replayed.changed_since_count for letter in report.letters):
        parts.append("rows that have changed since are in trempy.apply_errors, with SQLSTATE TR001")
    return "\n\n".join(parts) or _NONE


def _letter_text(letter: ListedLetter) -> str:
    facts = {name: value for name, value in letter.as_dict().items() if name != "message_id"}
    return f"dead letter {letter.message_id}\n{_indented(facts_text(facts))}"


def _transaction(change: ReadableChange) -> tuple[object, ...]:
    return change.transaction_id, change.commit_lsn, change.committed_at


def _change_lines(change: ReadableChange) -> Iterator[str]:
    yield f"  {change.operation.value} {change.table}{_key_text(change.key)}"
    for heading, values in (("old", change.old), ("new", change.new)):
        for name, value in values.items():
            yield f"    {heading} {name} = {_value_text(value)}"
    for name in change.unchanged:
        yield f"    new {name} was not sent: it is unchanged"


def _key_text(key: Values) -> str:
    values = ", ".join(f"{name} = {_value_text(value)}" for name, value in key.items())
    return f", key {values}" if values else ""


def _value_text(value: str | None) -> str:
    return "NULL" if value is None else json.dumps(value, ensure_ascii=False)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
