"""Which columns an UPDATE may leave unsent: those whose values can be stored out of line.

An UPDATE that does not change such a value does not send it, unless the replica identity is FULL.
PostgreSQL moves the largest values out of line first, and only while the row is longer than about 2,000
bytes; so a short column of a row that is not wide stays where it is ("TOAST", section 73.2 of the manual).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import Table

_POINTER_BYTES = 24  # what is no longer than its pointer, aligned, is never moved
_ROW_BYTES = 2000  # a little below TOAST_TUPLE_TARGET with its header
_ALIGNMENT_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Size:
    name: str
    max_bytes: int | None
    is_toastable: bool


def read_unsendable_columns(source: Session, tables: Iterable[Table]) -> dict[int, frozenset[str]]:
    """Return by table, by its OID, the columns whose values an UPDATE may leave unsent."""
    wanted = [table for table in tables if not sends_whole_rows(table)]
    relations = {table.oid: _relations(table) for table in wanted}
    oids = sorted({oid for listed in relations.values() for oid in listed})
    sizes: dict[int, list[_Size]] = defaultdict(list)
    for oid, *size in source.fetch_all(static_sql("column_sizes"), {"oids": oids}):
        sizes[oid].append(_Size(*size))
    return {
        table.oid: frozenset[str]().union(*(_movable(sizes[oid]) for oid in relations[table.oid]))
        - set(table.identity_columns or ())
        for table in wanted
    }


def sends_whole_rows(table: Table) -> bool:
    """Tell whether UPDATE and DELETE send all of the row before: REPLICA IDENTITY FULL."""
    if table.partitions:
        return all(leaf.replica_identity == "f" for leaf in table.partitions)
    return table.identity_columns is None


def _relations(table: Table) -> list[int]:
    leaves = [leaf.oid for leaf in table.partitions if leaf.replica_identity != "f"]
    return leaves if table.partitions else [table.oid]


def _movable(sizes: list[_Size]) -> set[str]:
    return {size.name for size in sizes if size.is_toastable and _is_movable(size, sizes)}


def _is_movable(size: _Size, sizes: list[_Size]) -> bool:
    """Tell whether the row can be too long while no value in line is longer than this column's longest."""
    if size.max_bytes is None:
        return True
    longest = size.max_bytes
    row_bytes = sum(_in_line_bytes(other, longest) + _ALIGNMENT_BYTES for other in sizes)
    return longest > _POINTER_BYTES and row_bytes > _ROW_BYTES


def _in_line_bytes(size: _Size, longest: int) -> int:
    if not size.is_toastable:
        return _ROW_BYTES if size.max_bytes is None else size.max_bytes
    return longest if size.max_bytes is None else min(size.max_bytes, longest)
