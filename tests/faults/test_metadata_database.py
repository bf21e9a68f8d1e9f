"""A metadata database of its own: killed between two commits, cut off from one of the two (G1, G2, G12)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import SMALL_BATCHES
from tests.faults.dying import assert_died, command, die_at, go_on, start
from tests.faults.steps import APPLY, CAPTURE, SETUP_APART, TEARDOWN_APART, Step
from tests.support.databases import Database, DatabasePair
from tests.support.site import CREATE_TABLES, Site
from tests.support.wait import wait_until

PUBLISHED = "select change_count, published_lsn::text from trempy.capture_progress"
CONFIRMED = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where not temporary"


@pytest.fixture
def apart(
    databases: DatabasePair, metadata_database: Database, rabbitmq_uri: str, task_name: str, tmp_path: Path
) -> Iterator[Site]:
    """Tables with rows; the task has a metadata database, and has not been set up."""
    databases.allow_replica_role()
    databases.source_admin.execute(CREATE_TABLES)
    site = Site(
        databases,
        rabbitmq_uri=rabbitmq_uri,
        task_name=task_name,
        folder=tmp_path,
        task={**SMALL_BATCHES, "metadata_conn_id": "trempy_metadata"},
        metadata_uri=metadata_database.uri,
    )
    site.write()
    yield site
    site.close()
    site.broker.delete_topology()


def named(steps: tuple[Step, ...], name: str) -> Step:
    return next(step for step in steps if step.name == name)


def test_no_step_between_two_databases_loses_or_doubles_anything(
    apart: Site, databases: DatabasePair, metadata_database: Database
):
    for step in SETUP_APART:
        command(apart, "setup", step=step)
        apart.write()
    assert command(apart, "setup") == 0
    assert command(apart, "full-load") == 0
    go_on(apart)
    apart.assert_converged()

    for half, step in (
        (apart.capture, named(CAPTURE, "batch confirmed; not recorded")),
        (apart.capture, named(CAPTURE, "progress recorded; slot not confirmed")),
        (apart.apply, named(APPLY, "target has committed")),
    ):
        die_at(half, step)
        apart.write()
        assert_died(half, step)
        go_on(apart)
    apart.assert_converged()

    with apart.going_on():
        cut_off_and_on(apart, databases, metadata_database)
    with away(apart, "target"):
        apart.capture.kill()
        start(apart.capture)
        assert_captured(apart, databases, metadata_database)
    apart.assert_converged()

    for half in apart.halves:
        half.kill()
    for step in SETUP_APART:
        command(apart, "reload", step=step)
        apart.write()
    assert command(apart, "reload") == 0
    go_on(apart)
    apart.assert_converged()

    for half in apart.halves:
        half.kill()
    for step in TEARDOWN_APART:
        command(apart, "teardown", step=step)
    assert command(apart, "teardown") == 0
    for database in (databases.target, metadata_database):
        assert database.fetch_value("select count(*) from pg_namespace where nspname = 'trempy'") == 0
    assert databases.source.fetch_value("select count(*) from pg_replication_slots where not temporary") == 0


def cut_off_and_on(site: Site, databases: DatabasePair, metadata_database: Database) -> None:
    """Take the target away, which capture does not need; then the metadata database, which both wait for."""
    site.wait_until_level()
    with away(site, "target"):
        assert_captured(site, databases, metadata_database)
    site.assert_converged()

    with away(site, "metadata"):
        site.write()
        site.capture.wait_for_log("metadata 127.0.0.1")
    site.assert_converged()


@contextmanager
def away(site: Site, server: str) -> Iterator[None]:
    for half in site.halves:
        half.wires.proxies[server].go_down()
    yield
    for half in site.halves:
        half.wires.proxies[server].come_up()


def assert_captured(site: Site, databases: DatabasePair, metadata_database: Database) -> None:
    """Changes written now are published, recorded, and confirmed to the slot."""
    ((before, _),) = metadata_database.fetch_all(PUBLISHED)
    site.write()

    def is_captured() -> bool:
        ((count, lsn),) = metadata_database.fetch_all(PUBLISHED)
        return count >= before + 200 and databases.source.fetch_value(CONFIRMED, [lsn])

    wait_until(is_captured, timeout_seconds=60, what="capture to go on without its target")
