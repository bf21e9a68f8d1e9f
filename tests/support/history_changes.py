"""Random changes of a table of three text columns, and the histories they make one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.support.changes import delete, insert, make_begin, make_relation, update
from tests.support.history_model import Histories
from tests.support.table_model import KeyedTable
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple
from trempy_provider.replication.net_changes import overlay

PLAIN = make_relation("k", "v", "w", key=("k",))
KEY = (0,)
Step = tuple[str, bytes, bytes, Tuple, int, bool]


def at(microseconds: int, change: Change) -> Change:
    """Return a change of a transaction that committed so many microseconds after 2000-01-01."""
    return replace(change, begin=replace(make_begin(), committed_at=microseconds))


def possible(steps: Iterable[Step], *, identity_is_full: bool) -> tuple[list[list[Change]], list[Tuple]]:
    """Return the changes, in groups, that are possible on a source of two rows, and these rows.

    A step is an operation, a key, a new key, values, the microseconds that its commit is later than the one
    before, and whether a group ends with it.
    """
    rows: list[Tuple] = [(b"1", b"a", b"a"), (b"2", b"b", b"b")]
    source, groups, now = KeyedTable(rows, KEY), [[]], 0
    for operation, key, new_key, cells, microseconds, ends in steps:
        now += microseconds
        change = at(now, _change(operation, key, new_key, cells, source, identity_is_full=identity_is_full))
        source.apply(change)
        if source.errors:
            source.errors.clear()
            continue
        groups[-1].append(change)
        if ends:
            groups.append([])
    return groups, rows


def _change(
    operation: str, key: bytes, new_key: bytes, cells: Tuple, source: KeyedTable, *, identity_is_full: bool
) -> Change:
    whole = source.rows.get((key,), (key, b"x", b"x"))
    if operation == "insert":
        return insert(PLAIN, key, *[b"q" if cell is UNCHANGED else cell for cell in cells])
    if operation == "delete":
        return delete(PLAIN, old=whole) if identity_is_full else delete(PLAIN, key=(key, None, None))
    new = (new_key if operation == "move" else key, *cells)
    if identity_is_full:
        return update(PLAIN, new, old=whole)
    return update(PLAIN, new, key=(key, None, None) if new[0] != key else None)


def started(rows: Sequence[Tuple]) -> Histories:
    """Return the histories of rows that were loaded before everything else."""
    histories = Histories()
    for row in rows:
        histories.leave(row[:1], -10, row)
    return histories


def write_one_by_one(histories: Histories, change: Change) -> None:
    """Do what one change does by itself."""
    moment, before = change.begin.committed_at, change.key_before(KEY)
    if change.operation is Operation.DELETE:
        histories.leave(before, moment, None)
        return
    row = change.new
    if change.operation is Operation.UPDATE:
        row = overlay(histories.row_of(before), row)
        if row[:1] != before:
            histories.leave(before, moment, None)
    histories.leave(row[:1], moment, row)
