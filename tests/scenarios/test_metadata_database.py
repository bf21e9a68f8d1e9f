"""metadata_conn_id: what commits with rows is in the target, the rest in a database of its own (G2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import Database, DatabasePair
from tests.support.dead_letters import TABLES, listed, make_tables, mend, options, refuse, replay
from tests.support.replication import Replication, settings
from trempy_provider.errors import ApplyError, MetadataError, PreflightError
from trempy_provider.jobs.check import check
from trempy_provider.jobs.cutover import cutover
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.status import TaskState, status
from trempy_provider.jobs.stop_record import recording_stop
from trempy_provider.jobs.validate import validate
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint

SOURCE_FACTS = "system_identifier, source_database, slot_name, publication_name, consistent_point"
IN_TARGET = ("checkpoints", "table_states", "known_tables")


@pytest.fixture
def apart(
    databases: DatabasePair, metadata_database: Database, rabbitmq_uri: str, task_name: str
) -> Iterator[Replication]:
    """A task set up and loaded, a part of its metadata in a database of its own."""
    make_tables(databases)
    replication = Replication(
        settings(task_name, list(TABLES), **options(on_dead_letter="stop")),
        databases=databases,
        rabbitmq_uri=rabbitmq_uri,
        metadata_uri=metadata_database.uri,
    )
    replication.setup()
    replication.load()
    yield replication
    replication.teardown()


def insert(replication: Replication, number: int, value: int = 0) -> None:
    replication.databases.source_admin.execute("insert into public.t values (%s, %s, 'w')", [number, value])


def told(replication: Replication):
    return status(
        replication.task, source=replication.source, target=replication.target, broker=replication.broker
    )


def findings(replication: Replication) -> str:
    report = check(
        replication.task, source=replication.source, target=replication.target, broker=replication.broker
    )
    return " ".join(f"{finding.what} {finding.remedy}" for finding in report.errors)


def count(database: Database, table: str) -> int:
    return int(database.fetch_value(f"select count(*) from trempy.{table}"))


def test_each_fact_is_in_one_place_and_every_job_finds_it(
    apart: Replication, databases: DatabasePair, metadata_database: Database
):
    insert(apart, 10)
    apart.catch_up()
    apart.assert_equal()

    assert metadata_database.fetch_value(f"select ({SOURCE_FACTS}) is not null from trempy.tasks")
    assert databases.target.fetch_value(f"select ({SOURCE_FACTS}) is null from trempy.tasks")
    assert (count(metadata_database, "capture_progress"), count(databases.target, "capture_progress")) == (
        1,
        0,
    )
    for table in IN_TARGET:
        assert count(databases.target, table) > 0
        assert count(metadata_database, table) == 0
    assert not apart.setup().started_anew
    assert findings(apart) == ""
    state = told(apart)
    assert (state.state, state.unreachable, state.error) == (TaskState.IDLE, {}, None)
    assert state.capture is not None and state.capture.change_count == 1
    assert state.checkpoint is not None and state.checkpoint.change_count == 1
    assert state.lag is not None and state.lag.apply_bytes == 0
    assert [str(table.source) for table in state.tables] == list(TABLES)

    refuse(databases)
    insert(apart, 11, 13)
    apart.capture()
    with pytest.raises(ApplyError), recording_stop(apart.target, job="apply"):
        apart.apply()
    assert len(listed(apart)) == 1
    stopped = told(apart)
    assert (stopped.state, len(stopped.dead_letters)) == (TaskState.STOPPED, 1)
    assert metadata_database.fetch_value("select stop_reason from trempy.tasks") == stopped.stop_reason
    mend(databases)
    assert replay(apart).error is None
    apart.assert_equal()

    apart.change_settings(settings(apart.task.task_name, list(TABLES)))
    databases.target_admin.execute("alter table public.t add constraint unlucky check (v <> 14)")
    insert(apart, 12, 14)
    apart.catch_up()
    assert apart.errors() == [("t", "insert", "23514")]
    assert [table.error_count for table in told(apart).tables] == [1, 0]

    databases.target_admin.execute("alter table public.t drop constraint unlucky")
    assert validate(apart.task, source=apart.source, target=apart.target, repair=True).repaired_count == 1
    verdict = cutover(apart.task, source=apart.source, target=apart.target, patience_seconds=10)
    assert verdict.reasons == ("the task has stopped: " + str(stopped.stop_reason),)

    apart.teardown()
    for database in (databases.target, metadata_database):
        assert database.fetch_value("select count(*) from pg_namespace where nspname = 'trempy'") == 0
    assert databases.source.fetch_value("select count(*) from pg_replication_slots where not temporary") == 0


def test_other_metadata_conn_id_is_refused_until_a_reload_moves_the_metadata(
    apart: Replication, databases: DatabasePair, metadata_database: Database
):
    for number in (10, 11, 12):  # each is a start of capture, which the target has counted
        insert(apart, number)
        apart.catch_up()

    apart.keep_metadata_in(None)
    assert "metadata_conn_id" in findings(apart)
    assert "trempy reload" in findings(apart)
    insert(apart, 13)
    for job in (apart.setup, apart.capture, lambda: apart.apply(seconds=2)):
        with pytest.raises((PreflightError, MetadataError), match="metadata_conn_id"):
            job()
    assert "metadata_conn_id" in str(told(apart).error)
    apart.keep_metadata_in(metadata_database.uri)
    apart.catch_up()
    apart.assert_equal()

    apart.keep_metadata_in(None)
    apart.setup(restart=True)
    apart.load()
    insert(apart, 14)
    apart.catch_up()
    apart.assert_equal()

    apart.keep_metadata_in(metadata_database.uri)
    with pytest.raises(PreflightError, match="metadata_conn_id"):
        apart.setup()
    metadata_database.execute("drop schema trempy cascade")
    with pytest.raises(PreflightError, match="metadata_conn_id"):
        apart.setup()
    apart.setup(restart=True)
    apart.load()
    insert(apart, 15)
    apart.catch_up()
    apart.assert_equal()
    assert count(databases.target, "capture_progress") == 0


def test_lost_part_of_the_metadata_is_refused_and_a_reload_is_the_way_out(
    apart: Replication, databases: DatabasePair, metadata_database: Database
):
    insert(apart, 10)
    apart.catch_up()
    metadata_database.execute("delete from trempy.tasks")

    with pytest.raises(PreflightError, match="restored or made anew"):
        apart.setup()
    with pytest.raises(MetadataError):
        apart.capture()
    apart.setup(restart=True)
    apart.load()
    insert(apart, 11)
    apart.catch_up()

    apart.assert_equal()


def test_task_of_another_target_under_the_same_name_is_left_alone(
    apart: Replication, databases: DatabasePair, metadata_database: Database
):
    insert(apart, 10)
    other = Endpoint(
        lambda: ConnectionParameters.from_uri(databases.source_admin_uri),
        task_name=apart.task.task_name,
        role="target",
        metadata=apart.target.metadata,
    )

    for restart in (False, True):
        with pytest.raises(PreflightError, match="of another target"):
            setup(apart.task, source=apart.source, target=other, broker=apart.broker, restart=restart)

    apart.catch_up()
    apart.assert_equal()


def test_preflight_tells_what_the_metadata_database_lacks(
    databases: DatabasePair, metadata_database: Database, rabbitmq_uri: str, task_name: str
):
    make_tables(databases)
    uri, name = databases.target_uri, databases.target.name
    replication = Replication(
        settings(task_name, list(TABLES)), databases=databases, rabbitmq_uri=rabbitmq_uri, metadata_uri=uri
    )
    assert "the target's own database" in findings(replication)

    replication.keep_metadata_in(uri.replace(f"/{name}", "/nowhere"))
    assert 'database "nowhere" does not exist' in findings(replication)
    assert "nowhere" in told(replication).unreachable["metadata"]
    assert "target" not in told(replication).unreachable

    databases.target_superuser.execute(f'create database "{name}_other"')
    try:
        replication.keep_metadata_in(uri.replace(f"/{name}", f"/{name}_other"))
        assert "may not create the metadata schema trempy" in findings(replication)
        with pytest.raises(PreflightError, match="grant create on database"):
            replication.setup()
    finally:
        databases.target_superuser.execute(f'drop database "{name}_other" with (force)')


def test_task_that_only_loads_has_its_metadata_in_two_places_too(
    databases: DatabasePair, metadata_database: Database, rabbitmq_uri: str, task_name: str
):
    make_tables(databases)
    given = settings(task_name, list(TABLES), task={"replication_type": "full_load"})
    replication = Replication(
        given, databases=databases, rabbitmq_uri=rabbitmq_uri, metadata_uri=metadata_database.uri
    )

    replication.setup()
    replication.load()

    replication.assert_equal()
    assert not replication.setup().started_anew
    assert (told(replication).state, findings(replication)) == (TaskState.IDLE, "")
    assert metadata_database.fetch_value("select source_database from trempy.tasks") == databases.source.name
    replication.teardown()
    assert metadata_database.fetch_value("select count(*) from pg_namespace where nspname = 'trempy'") == 0
