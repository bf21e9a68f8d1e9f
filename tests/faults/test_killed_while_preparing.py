"""Setup, load and teardown may be killed between any two steps; run again, they finish (G12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.dying import by_name, command, go_on
from tests.faults.steps import LOAD, SETUP, TEARDOWN, Step
from tests.support.databases import DatabasePair
from tests.support.site import CREATE_TABLES, Site
from tests.support.wait import wait_until

RELOADED = ("--table", "public.keyed", "--table", "public.keyless", "--table", "public.composite")


@pytest.fixture
def bare_site(databases: DatabasePair, rabbitmq_uri: str, task_name: str, tmp_path: Path) -> Iterator[Site]:
    """Tables with rows; the task has not been set up."""
    databases.allow_replica_role()
    databases.source_admin.execute(CREATE_TABLES)
    site = Site(databases, rabbitmq_uri=rabbitmq_uri, task_name=task_name, folder=tmp_path)
    site.write()
    yield site
    site.close()
    site.broker.delete_topology()


def load(site: Site) -> None:
    """Load what is not loaded, as soon as the sessions of a load that was killed are gone."""
    wait_until(lambda: command(site, "full-load") == 0, timeout_seconds=60, what="the full load to be done")


@pytest.mark.pg("16-18")
def test_setup_and_first_load_killed_at_every_step_in_turn(bare_site: Site):
    for step in SETUP:
        command(bare_site, "setup", step=step)
        bare_site.write()
    assert command(bare_site, "setup") == 0
    go_on(bare_site)

    for step in LOAD:
        wait_until(lambda: not load_sessions(bare_site), timeout_seconds=30)
        command(bare_site, "full-load", step=step)
        bare_site.write()
    load(bare_site)

    bare_site.assert_converged()


def load_sessions(site: Site) -> int:
    """Count the sessions of a load that the target has not noticed to be dead."""
    query = "select count(*) from pg_stat_activity where application_name = %s"
    return int(site.databases.target.fetch_value(query, [f"trempy/{site.task_name}/full_load"]))


@by_name(LOAD, on=("16", "18-16"))
def test_load_of_tables_that_are_followed_killed(site: Site, step: Step):
    site.write()

    command(site, "reload", *RELOADED, step=step)

    site.write()
    load(site)
    site.assert_converged()


@pytest.mark.pg("18-15")
def test_teardown_killed_at_every_step_in_turn_leaves_nothing(bare_site: Site):
    assert command(bare_site, "setup") == 0

    for step in TEARDOWN:
        command(bare_site, "teardown", step=step)
    assert command(bare_site, "teardown") == 0

    source, target = bare_site.databases.source, bare_site.databases.target
    assert source.fetch_value("select count(*) from pg_publication") == 0
    slots = "select count(*) from pg_replication_slots where slot_name like %s"
    assert source.fetch_value(slots, [f"%{bare_site.task_name}%"]) == 0
    assert target.fetch_value("select count(*) from pg_namespace where nspname = 'trempy'") == 0
