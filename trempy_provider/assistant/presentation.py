"""Drafts and dry runs in words, for a terminal or a page that asks for approval.

What is shown holds names and texts of strangers: nothing in it can act on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trempy_provider.assistant.draft import Draft
from trempy_provider.assistant.redaction import printable
from trempy_provider.jobs.dry_run import DryRunReport, TableTrial
from trempy_provider.postgres.samples import Row

_VALUE_LENGTH = 40


def draft_text(draft: Draft, *, present: Mapping[str, Any] | None = None) -> str:
    """Write a draft: what it changes, why, what to know, and what does not validate."""
    parts = [
        draft.diff_from(present) or "The draft is what the settings are already.",
        _listed(f"Why ({draft.author})", [f"{reason.path}: {reason.text}" for reason in draft.reasons]),
        _listed("To know", draft.warnings),
        _listed("Does not validate", map(str, draft.problems)),
    ]
    return printable("\n\n".join(part for part in parts if part))


def dry_run_text(report: DryRunReport) -> str:
    """Write a dry run: the findings, then what came of each table."""
    findings = "\n".join(map(str, report.preflight.findings)) or "nothing is in the way"
    return printable("\n\n".join([findings, *("\n".join(_trial_lines(trial)) for trial in report.tables)]))


def _listed(title: str, lines: Iterable[str]) -> str:
    listed = [f"  {line}" for line in lines]
    return "\n".join([f"{title}:", *listed]) if listed else ""


def _trial_lines(trial: TableTrial) -> Iterator[str]:
    place = f"{trial.source} → {trial.target}"
    sample = trial.sample
    if sample is None:
        yield f"{place}: {trial.error}"
        return
    out = sample.rows - sample.passing_rows
    yield f"{place}: of the first {sample.rows:,} rows, {sample.passing_rows:,} pass and {out:,} do not"
    for path, count in sample.rejected.items():
        yield f"  {path} keeps out {count:,}"
    yield from (f"  {statement}" for statement in sample.ddl)
    for before, after in zip(sample.before, sample.after, strict=False):
        yield f"  before  {_row_text(before)}"
        yield f"  after   {_row_text(after)}"


def _row_text(row: Row) -> str:
    return ", ".join(f"{name}={_shortened(value)}" for name, value in row.items())


def _shortened(value: str | None) -> str:
    if value is None:
        return "null"
    return value if len(value) <= _VALUE_LENGTH else value[: _VALUE_LENGTH - 1] + "…"
