"""What a person should know of the tables chosen: keys, large values, circles of references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trempy_provider.assistant.catalogue import TableFacts
from trempy_provider.assistant.ordering import LoadOrder
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.tables import quote_name

_DESTRUCTIVE = {
    "recreate_table_if_exists": "drops target tables that are there",
    "truncate_before_insert": "removes rows that are in target tables",
}


def destruction_of(task: ReplicationTask) -> list[str]:
    """Return what a full load of the task would destroy on the target."""
    return [
        f"full_load_settings.{key} {what}."
        for key, what in _DESTRUCTIVE.items()
        if getattr(task.full_load, key)
    ]


def warnings_about(
    tables: Sequence[TableFacts], *, captures: bool, order: LoadOrder, keeps_history: bool = False
) -> list[str]:
    """Return the warnings, table by table."""
    found = [text for table in tables for text in _about(table, captures=captures)]
    if keeps_history:
        found += [
            f"{table.name} has no primary key, which the mode scd2 needs: take it out, or give it one."
            for table in tables
            if not table.primary_key
        ]
    if order.circular:
        names = ", ".join(map(str, order.circular))
        found.append(
            f"{names} refer to each other in a circle: let the target's role set session_replication_role, "
            "or leave their foreign keys out on the target."
        )
    return found


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
