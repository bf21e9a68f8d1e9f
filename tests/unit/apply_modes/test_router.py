"""What becomes of a change, by the state of its table."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from tests.support.changes import delete, insert, make_begin, make_relation, truncate, update
from tests.support.target_tables import make_state
from trempy_provider.apply_modes.router import Routed, Router
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.table_states import LoadState, TableState
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.lsn import Lsn

ONE, TWO, THREE = 101, 102, 103
ONCE = datetime(2026, 1, 1, tzinfo=timezone.utc)
SNAPSHOT = Lsn(0x1000)
RELATIONS = {oid: make_relation("k", key=("k",), oid=oid, table_name=f"t{oid}") for oid in (ONE, TWO, THREE)}


def make_router(*states: TableState, truncate_policy: str = "replicate", **entry: Any) -> Router:
    task = ReplicationTask.model_validate(
        {
            "task": {
                "task_name": "orders",
                "replication_type": "full_load_and_cdc",
                "cdc_settings": {"truncate": truncate_policy},
            },
            "tables": [{"schema_name": "public", "table_name": "*", **entry}],
        }
    )
    return Router(task, {state.source_oid: state for state in states})


def state_of(oid: int, state: LoadState = LoadState.READY, **fields: Any) -> TableState:
    return make_state("k", oid=oid, name=f"t{oid}", state=state, **fields)


def insert_into(oid: int, *, commit_lsn: int = 0x2000) -> Change:
    return insert(RELATIONS[oid], b"1", begin=make_begin(commit_lsn=commit_lsn))


def truncate_of(*oids: int, commit_lsn: int = 0x2000) -> Change:
    return truncate(*(RELATIONS[oid] for oid in oids), begin=make_begin(commit_lsn=commit_lsn))


def fate_of(router: Router, change: Change, oid: int = ONE) -> tuple[bool, bool]:
    """Return whether the change is written, and whether it is held for `oid`."""
    routed = router.route([change])
    assert routed.held.keys() <= {oid}
    return routed.written == [change], routed.held.get(oid) == [change]


@pytest.mark.parametrize(
    ("state", "fields", "written", "held"),
    [
        (LoadState.PENDING, {}, False, False),
        (LoadState.PENDING, {"load_finished_at": ONCE}, False, False),
        (LoadState.PENDING, {"load_finished_at": ONCE, "snapshot_lsn": SNAPSHOT}, True, False),
        (LoadState.LOADING, {}, False, True),
        (LoadState.LOADING, {"snapshot_lsn": SNAPSHOT}, False, True),
        (LoadState.LOADING, {"load_finished_at": ONCE}, False, True),
        (LoadState.LOADING, {"load_finished_at": ONCE, "snapshot_lsn": SNAPSHOT}, True, True),
        (LoadState.READY, {}, True, False),
        (LoadState.READY, {"snapshot_lsn": SNAPSHOT}, True, False),
        (LoadState.READY, {"snapshot_lsn": SNAPSHOT, "load_finished_at": ONCE}, True, False),
        (LoadState.ERROR, {}, False, False),
        (LoadState.ERROR, {"load_finished_at": ONCE}, False, False),
        (LoadState.ERROR, {"load_finished_at": ONCE, "snapshot_lsn": SNAPSHOT}, True, False),
    ],
)
@pytest.mark.parametrize("kind", ["row", "truncate"])
def test_state_of_the_table_decides(
    state: LoadState, fields: dict[str, Any], written: bool, held: bool, kind: str
) -> None:
    change = insert_into(ONE) if kind == "row" else truncate_of(ONE)

    assert fate_of(make_router(state_of(ONE, state, **fields)), change) == (written, held)


@pytest.mark.parametrize(
    ("commit_lsn", "written"), [(SNAPSHOT - 1, False), (SNAPSHOT, True), (SNAPSHOT + 1, True)]
)
@pytest.mark.parametrize("kind", ["row", "truncate"])
def test_change_committed_before_the_snapshot_is_in_the_loaded_rows(
    commit_lsn: int, written: bool, kind: str
) -> None:
    router = make_router(state_of(ONE, snapshot_lsn=SNAPSHOT))
    change = (
        insert_into(ONE, commit_lsn=commit_lsn) if kind == "row" else truncate_of(ONE, commit_lsn=commit_lsn)
    )

    assert fate_of(router, change) == (written, False)


def test_change_before_the_snapshot_is_held_all_the_same_while_loading() -> None:
    router = make_router(state_of(ONE, LoadState.LOADING, snapshot_lsn=SNAPSHOT))

    assert fate_of(router, insert_into(ONE, commit_lsn=0)) == (False, True)


@pytest.mark.parametrize("change", [insert_into(TWO), truncate_of(TWO)])
def test_change_of_a_table_not_in_the_task_is_named(change: Change) -> None:
    routed = make_router(state_of(ONE)).route([change])

    assert routed == Routed(unknown_oids={TWO})


def test_changes_keep_their_order_across_tables() -> None:
    router = make_router(state_of(ONE), state_of(TWO), state_of(THREE, LoadState.LOADING))
    changes = [insert_into(oid) for oid in (ONE, THREE, TWO, ONE, THREE, TWO)]

    routed = router.route(changes)

    assert list(map(id, routed.written)) == [id(changes[i]) for i in (0, 2, 3, 5)]
    assert list(map(id, routed.held[THREE])) == [id(changes[i]) for i in (1, 4)]
    assert routed.unknown_oids == set()


CHANGES = {
    "insert": insert_into(ONE),
    "update": update(RELATIONS[ONE], (b"1",)),
    "delete": delete(RELATIONS[ONE], key=(b"1",)),
    "truncate": truncate_of(ONE),
}


@pytest.mark.parametrize("state", [LoadState.READY, LoadState.LOADING])
@pytest.mark.parametrize("operations", [["insert"], ["insert", "update"], ["delete", "truncate"]])
def test_only_the_operations_selected_are_routed(state: LoadState, operations: list[str]) -> None:
    router = make_router(state_of(ONE, state), operations=operations)

    routed = router.route(CHANGES.values())

    kept = routed.written if state is LoadState.READY else routed.held[ONE]
    assert [change.operation.value for change in kept] == [name for name in CHANGES if name in operations]
    assert routed.unknown_oids == set()


def test_table_that_left_the_settings_keeps_all_operations() -> None:
    router = make_router(state_of(ONE), schema_name="elsewhere")

    assert router.route(CHANGES.values()).written == list(CHANGES.values())


@pytest.mark.parametrize("state", [LoadState.READY, LoadState.LOADING])
def test_truncate_is_dropped_where_the_policy_ignores_it(state: LoadState) -> None:
    router = make_router(state_of(ONE, state), truncate_policy="ignore")

    assert fate_of(router, truncate_of(ONE)) == (False, False)
    assert True in fate_of(router, insert_into(ONE))


def test_truncate_of_several_tables_is_written_once_and_held_for_each_that_loads() -> None:
    router = make_router(state_of(ONE), state_of(TWO, LoadState.LOADING), state_of(THREE, LoadState.LOADING))
    change = truncate_of(ONE, TWO, THREE)

    routed = router.route([change])

    assert routed.written == [change]
    assert routed.held == {TWO: [change], THREE: [change]}


def test_truncate_names_the_tables_it_empties_one_by_one() -> None:
    router = make_router(
        state_of(ONE, snapshot_lsn=SNAPSHOT), state_of(TWO, LoadState.PENDING), state_of(THREE)
    )
    change = truncate_of(ONE, TWO, THREE, commit_lsn=SNAPSHOT - 1)

    written = [oid for oid in (ONE, TWO, THREE) if router.is_written(change, oid)]

    assert written == [THREE]
    assert router.route([change]).written == [change]


def test_truncate_without_a_table_to_empty_is_not_written() -> None:
    router = make_router(state_of(ONE, LoadState.PENDING), state_of(TWO, LoadState.LOADING))
    change = truncate_of(ONE, TWO, THREE)

    routed = router.route([change])

    assert routed == Routed(held={TWO: [change]}, unknown_oids={THREE})


def test_nothing_is_written_to_an_unknown_table() -> None:
    assert not make_router().is_written(insert_into(ONE), ONE)


@pytest.mark.parametrize(
    ("state", "fields", "operations", "all_are_written"),
    [
        (LoadState.READY, {}, set(Operation), True),
        (LoadState.READY, {"snapshot_lsn": SNAPSHOT}, {Operation.INSERT, Operation.DELETE}, True),
        (LoadState.READY, {"snapshot_lsn": Lsn(SNAPSHOT + 1)}, {Operation.INSERT}, False),
        (LoadState.LOADING, {"snapshot_lsn": SNAPSHOT, "load_finished_at": ONCE}, {Operation.INSERT}, False),
        (LoadState.PENDING, {}, {Operation.INSERT}, False),
    ],
)
def test_changes_are_written_together_only_if_each_of_them_is_written(
    state, fields, operations, all_are_written
):
    router = make_router(state_of(ONE, state, **fields))

    assert router.writes_all(ONE, operations, since=SNAPSHOT) is all_are_written


def test_changes_of_an_operation_left_out_are_not_written_together():
    router = make_router(state_of(ONE), operations=["insert", "update"])

    assert router.writes_all(ONE, {Operation.UPDATE}, since=SNAPSHOT)
    assert not router.writes_all(ONE, {Operation.UPDATE, Operation.DELETE}, since=SNAPSHOT)
    assert not router.writes_all(TWO, {Operation.UPDATE}, since=SNAPSHOT)
