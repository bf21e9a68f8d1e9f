"""Compare a draft with what was expected: as sets of facts, whatever words the settings say them in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.assistant.cases import Case
from trempy_provider.assistant.catalogue import Catalogue, TableFacts
from trempy_provider.assistant.draft import Draft
from trempy_provider.config.loader import load_task
from trempy_provider.config.tables import TableReference
from trempy_provider.config.task import ReplicationTask

Fact = tuple[str, ...]

_CRON = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_NOT_COMPARED = ("description", "priority")


@dataclass(frozen=True, slots=True)
class Score:
    """How a draft compares; `missing` and `superfluous` are the facts that differ."""

    case: Case
    is_valid: bool
    missing: frozenset[Fact]
    superfluous: frozenset[Fact]
    fact_count: int  # of both, those in common counted twice

    @property
    def is_exact(self) -> bool:
        """Tell whether the draft says what was expected, and nothing else."""
        return self.is_valid and not self.missing and not self.superfluous

    @property
    def share(self) -> float:
        """Return how much of the two is in common, 0 to 1 (F1)."""
        if not self.is_valid:
            return 0.0
        return 1 - (len(self.missing) + len(self.superfluous)) / self.fact_count


def score(case: Case, draft: Draft | None, catalogue: Catalogue) -> Score:
    """Compare a draft with its case; without one that validates, everything is missing."""
    expected = facts_of(load_task(case.settings, origin="the case"), catalogue)
    if draft is None or draft.task is None:
        return Score(case, False, expected, frozenset(), len(expected))
    drafted = facts_of(draft.task, catalogue)
    return Score(case, True, expected - drafted, drafted - expected, len(expected) + len(drafted))


def facts_of(task: ReplicationTask, catalogue: Catalogue) -> frozenset[Fact]:
    """Return what settings mean for the tables of a catalogue, as far as it is compared."""
    return frozenset((*_task_facts(task), *_table_facts(task, catalogue), *_entry_facts(task, catalogue)))


def summary(scores: Iterable[Score]) -> dict[str, Any]:
    """Return the shares of valid and of exact drafts, and the mean of what is in common."""
    listed = list(scores)
    count = len(listed)
    return {
        "cases": count,
        "valid": sum(each.is_valid for each in listed) / count,
        "exact": sum(each.is_exact for each in listed) / count,
        "in_common": sum(each.share for each in listed) / count,
    }


def _task_facts(task: ReplicationTask) -> Iterator[Fact]:
    yield "type", str(task.replication_type)
    yield "mode", str(task.cdc.mode)
    if task.full_load.schedule is not None:
        yield "schedule", _CRON.get(task.full_load.schedule, " ".join(task.full_load.schedule.split()))
    if task.full_load.truncate_before_insert:
        yield ("truncate",)
    if task.full_load.recreate_table_if_exists:
        yield ("recreate",)
    if task.captures_changes:
        yield "schema_evolution", str(task.cdc.schema_evolution)
    for name, value in task.error_handling:
        if value is True:
            yield "error_handling", name


def _table_facts(task: ReplicationTask, catalogue: Catalogue) -> Iterator[Fact]:
    for table in catalogue.tables:
        selection = task.selection_of(table.name.schema_name, table.name.table_name)
        if selection is None:
            continue
        yield "table", str(table.name)
        columns = [column.name for column in table.columns]
        selected = [name for name in columns if selection.selects_column(name)]
        if selected != columns:
            yield "columns", str(table.name), *selected
        if task.captures_changes and len(selection.operations) < 4:
            yield "operations", str(table.name), *sorted(map(str, selection.operations))


def _entry_facts(task: ReplicationTask, catalogue: Catalogue) -> Iterator[Fact]:
    for entry in task.filters:
        settings = _plain(entry.settings.model_dump(mode="json", by_alias=True))
        for table in _meant(entry.table_info, catalogue):
            yield "filter", str(table.name), _text(_canonical_filter(settings))
    for change in task.transformations:
        settings = _plain(change.settings.model_dump(mode="json", by_alias=True))
        for table in _meant(change.table_info, catalogue):
            yield "transformation", str(table.name), _text(settings)


def _meant(reference: TableReference, catalogue: Catalogue) -> list[TableFacts]:
    return [
        table
        for table in catalogue.tables
        if reference.matches(table.name.schema_name, table.name.table_name)
    ]


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in _NOT_COMPARED}


def _canonical_filter(settings: dict[str, Any]) -> dict[str, Any]:
    """Return one form of what can be said in several."""
    values = settings.get("values")
    if values is not None and len(values) == 1:
        kind = {"in": "equals", "not_in": "not_equals"}[settings["filter_type"]]
        return {"filter_type": kind, "column_name": settings["column_name"], "value": _scalar(values[0])}
    if values is not None:
        return {**settings, "values": sorted(map(_scalar, values))}
    return {
        key: _scalar(value) if key in ("value", "lower", "upper") else value
        for key, value in settings.items()
    }


def _scalar(value: Any) -> str:
    """Return a value as text: 100, 100.0 and "100" are the same to PostgreSQL."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)
