"""What a person should know of a draft: what it destroys, and what keys, large values and schedules mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trempy_provider.assistant.catalogue import Catalogue, TableFacts
from trempy_provider.assistant.history import History
from trempy_provider.assistant.ordering import order_by_references
from trempy_provider.assistant.periods import seconds_between, uneven_steps
from trempy_provider.assistant.sizing import load_seconds
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.progress import duration_text
from trempy_provider.postgres.tables import quote_name

_DESTRUCTIVE = {
    "recreate_table_if_exists": "drops target tables that are there",
    "truncate_before_insert": "removes rows that are in target tables",
}


def warnings_of(task: ReplicationTask, catalogue: Catalogue, history: History) -> tuple[str, ...]:
    """Return the warnings of a draft, whoever made it: what it would destroy comes first."""
    tables = [
        table
        for table in catalogue.tables
        if task.selection_of(table.name.schema_name, table.name.table_name) is not None
    ]
    obstacles = catalogue.obstacles_to_capture if task.captures_changes else ()
    return (
        *_destruction(task),
        *(f"Changes cannot be captured on the source yet: {what}." for what in obstacles),
        *_of_schedule(task, tables, history),
        *(text for table in tables for text in _about(table, captures=task.captures_changes)),
        *_of_history(task, tables),
        *_circles(tables),
    )


def _destruction(task: ReplicationTask) -> Iterator[str]:
    for key, what in _DESTRUCTIVE.items():
        if getattr(task.full_load, key):
            yield f"full_load_settings.{key} {what}."


def _of_schedule(task: ReplicationTask, tables: Sequence[TableFacts], history: History) -> Iterator[str]:
    schedule = task.full_load.schedule
    if schedule is None:
        return
    for step in uneven_steps(schedule):
        yield (
            f"full_load_settings.schedule {schedule} has {step}: cron starts anew with each larger unit, so "
            "that the loads are not evenly apart."
        )
    seconds, interval = load_seconds(tables, history), seconds_between(schedule)
    if seconds is not None and interval is not None and seconds > interval / 2:
        yield (
            f"A full load takes about {duration_text(seconds)} at the speed measured here, and "
            f"{schedule} asks for one every {duration_text(interval)}: follow changes instead."
        )


def _of_history(task: ReplicationTask, tables: Sequence[TableFacts]) -> Iterator[str]:
    for table in tables:
        if task.cdc.mode is ApplyModeName.SCD2 and not table.primary_key:
            yield f"{table.name} has no primary key, which the mode scd2 needs: take it out, or give it one."


def _circles(tables: Sequence[TableFacts]) -> Iterator[str]:
    circular = order_by_references(tables).circular
    if circular:
        yield (
            f"{', '.join(map(str, circular))} refer to each other in a circle: let the target's role set "
            "session_replication_role, or leave their foreign keys out on the target."
        )


def _about(table: TableFacts, *, captures: bool) -> Iterator[str]:
    if captures and not table.identifies_rows:
        yield (
            f"{table.name} has no usable key: its UPDATEs and DELETEs would fail once published. Give it a "
            f"primary key, or run: alter table {table.name} replica identity full; or replicate inserts only."
        )
    elif captures and not table.primary_key:
        yield f"{table.name} has no primary key: every UPDATE and DELETE scans the target table."
    if captures and not table.is_logged:
        remedy = f"alter table {table.name} set logged;"
        yield f"{table.name} is unlogged: its changes are not in the WAL. Run: {remedy}"
    if captures and table.unsent_columns:
        columns = ", ".join(map(quote_name, table.unsent_columns))
        yield (
            f"{table.name} has large values ({columns}) that an UPDATE does not send when it leaves them "
            "alone (TOAST): they are kept on the target, but a filter on them together with others, or a new "
            f"column made of them, needs: alter table {table.name} replica identity full;"
        )
