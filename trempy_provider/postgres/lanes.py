"""The lanes of a task's apply: which there are, how far each is, and which tables each has.

Each table belongs to one lane, and tables that foreign keys join belong to the same one.
Of a message that one lane has applied and another has not, a table that changed its lane in between would be
applied twice or never.
So lanes are added, removed and given other tables only while all are at one LSN and nothing waits that was
taken apart by them: a chunk of a transaction in progress, a dead letter that has stopped one.
Until then everything stays as it is, and a table that is new belongs to lane 0.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from trempy_provider.postgres.checkpoints import lock_checkpoint, raise_states_version
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import TableState, read_table_states
from trempy_provider.replication.lane_part import LanePart
from trempy_provider.replication.lsn import Lsn

logger = logging.getLogger(__name__)


def read_lanes(session: Session, task_name: str) -> dict[int, Lsn]:
    """Return up to where each lane has applied; nothing for a task whose apply is one process."""
    with schema_required():
        rows = session.fetch_all(static_sql("read_lanes"), {"task_name": task_name})
    return {lane: Lsn.parse(end_lsn) for lane, end_lsn in rows}


def level_checkpoint(session: Session, task_name: str) -> None:
    """Record in the task's checkpoint what all of its lanes have applied; do nothing while that is locked."""
    session.execute(static_sql("level_checkpoint"), {"task_name": task_name})


@contextmanager
def in_lane(session: Session, lane: int | None) -> Iterator[None]:
    """Let a session work for a lane while the block runs; None for the task as a whole."""
    before, session.lane = session.lane, lane
    try:
        yield
    finally:
        session.lane = before


@contextmanager
def letters_lock(session: Session, task_name: str) -> Iterator[None]:
    """Let lanes look at dead letters one after the other: a letter that one looks at, others do not see.

    The lock goes with the session, however that ends.
    """
    if session.lane is None:
        yield
        return
    session.execute(static_sql("take_letters_lock"), {"task_name": task_name})
    try:
        yield
    finally:
        if not session.closed:
            session.execute(static_sql("release_letters_lock"), {"task_name": task_name})


def arrange_lanes(session: Session, task_name: str, *, wanted_count: int) -> int:
    """Bring lanes and their tables to what the settings ask for, as far as that is safe now.

    Return how many lanes there are; there are never more than groups of tables.
    """
    if wanted_count == 1 and not read_lanes(session, task_name):
        return 1
    level_checkpoint(session, task_name)
    with session.transaction():
        lock_checkpoint(session, task_name)  # also raises for a task that was not set up
        lanes, states = read_lanes(session, task_name), read_table_states(session, task_name)
        components = _components(states.values())
        count = max(1, min(wanted_count, len(components)))
        if count < wanted_count:
            logger.info("task %s has tables for %s lanes: groups that nothing joins", task_name, count)
        if not _may_change(session, task_name, lanes):
            _tell_what_stays(task_name, lanes, components, count=count)
            return max(1, len(lanes))
        if count == 1 or count != len(lanes):
            _replace_lanes(session, task_name, count if count > 1 else 0)
            components = {name: [(oid, None) for oid, _ in tables] for name, tables in components.items()}
        if count > 1:
            _give_tables(session, task_name, components, states, count=count)
        raise_states_version(session, task_name)
    return count


def part_of_lane(session: Session, task_name: str, lane: int) -> LanePart:
    """Return which relations a lane applies; lane 0 has all that no other one has."""
    states = read_table_states(session, task_name).values()
    if lane:
        return LanePart(frozenset(state.source_oid for state in states if state.lane == lane))
    return LanePart(frozenset(state.source_oid for state in states if state.lane), is_rest=True)


def write_components(session: Session, task_name: str, joined: Iterable[tuple[int, int]]) -> None:
    """Note which tables belong together: those joined on the target, or by the pairs of OIDs given."""
    parameters = {"task_name": task_name}
    pairs = [*joined, *session.fetch_all(static_sql("joined_target_tables"), parameters)]
    names = join_tables(read_table_states(session, task_name), pairs)
    session.execute(
        static_sql("write_components"),
        {**parameters, "oids": list(names), "components": list(names.values())},
    )


def join_tables(oids: Iterable[int], pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return for each table the smallest OID of those it is joined with, over however many others."""
    names = {oid: oid for oid in oids}

    def name_of(oid: int) -> int:
        while names[oid] != oid:
            oid = names[oid]
        return oid

    for pair in pairs:
        if all(oid in names for oid in pair):
            low, high = sorted(map(name_of, pair))
            names[high] = low
    return {oid: name_of(oid) for oid in names}


_Components = Mapping[int, list[tuple[int, int | None]]]  # by name: OIDs of the tables, and their lanes


def _components(states: Iterable[TableState]) -> dict[int, list[tuple[int, int | None]]]:
    """Return the groups of tables; those of which it is not known yet what joins them are one."""
    components: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
    for state in states:
        components[state.component or 0].append((state.source_oid, state.lane))
    if 0 in components:
        return {0: [table for tables in components.values() for table in tables]}
    return components


def _may_change(session: Session, task_name: str, lanes: Mapping[int, Lsn]) -> bool:
    if len(set(lanes.values())) > 1:
        return False
    return not session.fetch_value(static_sql("is_between_lanes"), {"task_name": task_name})


def _tell_what_stays(
    task_name: str, lanes: Mapping[int, Lsn], components: _Components, *, count: int
) -> None:
    split = sum(len({lane or 0 for _, lane in tables}) > 1 for tables in components.values())
    if count != max(1, len(lanes)) or (split and lanes):
        logger.warning(
            "task %s: apply goes on with %s lanes, and %s groups of tables that foreign keys join stay in "
            "several, until an apply starts with all lanes at one LSN, no transaction in progress and no "
            "dead letter that has stopped it",
            task_name,
            max(1, len(lanes)),
            split,
        )


def _replace_lanes(session: Session, task_name: str, count: int) -> None:
    """Begin with other lanes; one of before that still runs finds its row gone, or another version in it."""
    for query in ("count_passed_over", "outrun_lanes", "delete_lanes"):
        session.execute(static_sql(query), {"task_name": task_name})
    if count:
        session.execute(static_sql("add_lanes"), {"task_name": task_name, "lane_count": count})
    logger.info("task %s: apply works in %s lanes from now on", task_name, max(1, count))


def _give_tables(
    session: Session, task_name: str, components: _Components, states: Mapping[int, TableState], *, count: int
) -> None:
    """Keep groups where they are, and give each other one to the lane that has had the least to do."""
    load: Counter[int] = Counter(dict.fromkeys(range(count), 0))
    weights = {name: sum(_weight(states[oid]) for oid, _ in tables) for name, tables in components.items()}
    chosen: dict[int, int] = {}
    for name, tables in components.items():
        present = {lane for _, lane in tables if lane is not None}
        if present:
            chosen[name] = min(present)
            load[chosen[name]] += weights[name]
    for name in sorted(components.keys() - chosen.keys(), key=lambda name: (-weights[name], name)):
        chosen[name] = min(load, key=lambda lane: (load[lane], lane))
        load[chosen[name]] += weights[name]
    for lane in range(count):
        oids = [oid for name, tables in components.items() if chosen[name] == lane for oid, _ in tables]
        session.execute(static_sql("write_lane"), {"task_name": task_name, "lane": lane, "oids": oids})


def _weight(state: TableState) -> int:
    """Return how much there is to do for a table, by what was counted: its changes, or at first its rows."""
    changes = state.insert_count + state.update_count + state.delete_count
    return 1 + (changes or state.estimated_rows or 0)
