"""Metadata is migrated once, by one process, and read back as it was written."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_target, open_target
from trempy_provider.errors import MetadataError, TargetPermissionError
from trempy_provider.postgres import metadata
from trempy_provider.postgres.checkpoints import read_capture_progress, read_checkpoint, start_progress
from trempy_provider.postgres.metadata import (
    TaskRow,
    applied_migrations,
    check_migrations,
    clear_stop,
    delete_task,
    drop_metadata,
    migrate,
    read_task,
    record_stop,
    write_task,
)
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_states import (
    LoadState,
    TableState,
    delete_table_state,
    read_table_states,
    update_table_state,
    write_table_state,
)
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

ROW = TaskRow("t", "7311", 1, "shop", "trempy_t", "trempy_t", Lsn(99))
STATE = TableState(
    16400, QualifiedName('S"', "%s"), QualifiedName("s", "t"), ("b", 'A"', "{}"), estimated_rows=5
)


@pytest.fixture
def target(databases: DatabasePair) -> Iterator[Session]:
    with open_target(databases) as session:
        yield session


@pytest.fixture
def task(target: Session) -> Session:
    migrate(target)
    write_task(target, ROW)
    start_progress(target, "t", Lsn(99), captures_changes=True)
    return target


def test_migrations_run_once(target: Session) -> None:
    assert migrate(target)
    assert migrate(target) == []
    assert applied_migrations(target)[0] == "0001_metadata"


def test_migrations_at_the_same_time_run_once(databases: DatabasePair) -> None:
    ran: list[list[str]] = []

    def run() -> None:
        with make_target(databases).connect("test") as session:
            ran.append(migrate(session))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(len, ran))[:3] == [0, 0, 0]
    assert len(ran) == 4


def test_failed_migration_leaves_nothing(target: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    original = metadata.static_sql
    monkeypatch.setattr(
        metadata, "static_sql", lambda name: "select 1/0" if name == "insert_migration" else original(name)
    )
    with pytest.raises(Exception, match="division"):
        migrate(target)
    monkeypatch.undo()

    assert applied_migrations(target) == []
    assert migrate(target)


def test_metadata_of_a_newer_version_is_refused(target: Session) -> None:
    migrate(target)
    target.execute("insert into trempy.migrations (name) values ('9999_future')")

    with pytest.raises(MetadataError, match="9999_future"):
        check_migrations(target)
    with pytest.raises(MetadataError, match="9999_future"):
        migrate(target)


def test_role_that_may_not_create_the_schema_is_told_how(databases: DatabasePair, target: Session) -> None:
    name, role = databases.target.name, databases.target.role
    databases.target_superuser.execute(f"revoke create on database {name} from {role}")
    with pytest.raises(TargetPermissionError) as caught:
        migrate(target)

    assert "create schema trempy authorization" in caught.value.hint
    databases.target_superuser.execute(f"create schema trempy authorization {role}")
    assert migrate(target)


def test_missing_schema_is_told_from_a_missing_task(target: Session) -> None:
    with pytest.raises(MetadataError, match="no metadata schema"):
        read_task(target, "t")

    migrate(target)
    assert read_task(target, "t") is None
    with pytest.raises(MetadataError, match="has not been set up"):
        read_checkpoint(target, "t")


def test_task_is_read_back_as_it_was_written(task: Session) -> None:
    row = read_task(task, "t")

    assert row is not None
    assert replace(row, set_up_at=None) == ROW


def test_stop_is_recorded_and_forgotten(task: Session) -> None:
    record_stop(task, "t", "first")
    first = read_task(task, "t")
    record_stop(task, "t", "first")
    assert read_task(task, "t") == first
    assert first is not None
    assert first.stop_reason == "first"
    assert first.stopped_at is not None

    clear_stop(task, "t")
    assert replace(first, stop_reason=None, stopped_at=None) == read_task(task, "t")


def test_progress_starts_anew(task: Session) -> None:
    task.execute(
        "update trempy.checkpoints set change_count = 5; update trempy.capture_progress set batch_count = 5"
    )

    start_progress(task, "t", Lsn(200), captures_changes=True)

    checkpoint, progress = read_checkpoint(task, "t"), read_capture_progress(task, "t")
    assert (checkpoint.end_lsn, checkpoint.change_count, checkpoint.states_version) == (Lsn(200), 0, 1)
    assert (progress.published_lsn, progress.seen_lsn, progress.batch_count) == (Lsn(200), Lsn(200), 0)


def test_table_state_is_read_back_as_it_was_written(task: Session) -> None:
    write_table_state(task, "t", STATE)
    assert read_table_states(task, "t") == {16400: STATE}

    update_table_state(
        task,
        "t",
        16400,
        state=LoadState.READY,
        snapshot_lsn=Lsn(7),
        source=QualifiedName("x", "y"),
        key_columns=(),
    )

    assert read_table_states(task, "t")[16400] == replace(
        STATE, state=LoadState.READY, snapshot_lsn=Lsn(7), source=QualifiedName("x", "y"), key_columns=()
    )


def test_states_version_tells_of_every_change_but_progress(task: Session) -> None:
    def version() -> int:
        return read_checkpoint(task, "t").states_version

    write_table_state(task, "t", STATE)
    assert version() == 1
    update_table_state(task, "t", 16400, loaded_rows=5, loaded_bytes=6)
    assert version() == 1
    with task.transaction():
        update_table_state(task, "t", 16400, state="loading")
    assert version() == 2
    delete_table_state(task, "t", 16400)
    assert version() == 3
    assert read_table_states(task, "t") == {}


def test_state_and_version_change_together_or_not_at_all(task: Session) -> None:
    write_table_state(task, "t", STATE)

    with pytest.raises(MetadataError, match="OID 5"):
        update_table_state(task, "t", 5, state="ready")

    assert read_checkpoint(task, "t").states_version == 1
    assert not task.in_transaction


def test_unknown_column_is_refused(task: Session) -> None:
    with pytest.raises(ValueError, match="no column colour"):
        update_table_state(task, "t", 16400, colour="red")


def test_deleting_the_last_task_lets_the_schema_go(task: Session) -> None:
    write_table_state(task, "t", STATE)
    assert not drop_metadata(task)

    assert delete_task(task, "t")
    assert not delete_task(task, "t")
    assert drop_metadata(task)
    assert not drop_metadata(task)
    assert applied_migrations(task) == []
