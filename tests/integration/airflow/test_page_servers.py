"""The page's overview of many tasks asks each server once, and is quick."""

import time
from contextlib import contextmanager

import pytest

from tests.integration.airflow.conftest import make_settings
from trempy_provider.config.loader import load_task
from trempy_provider.plugins.api import servers as servers_module
from trempy_provider.plugins.api.servers import Servers
from trempy_provider.plugins.api.shared_reads import SharedReads
from trempy_provider.postgres.metadata import migrate

TASKS, TABLES = 100, 200
QUICK_SECONDS = 5.0  # 0.3 s on an idle machine
ROWS = """
insert into trempy.tasks (task_name, system_identifier, timeline, source_database, slot_name, consistent_point)
select 'many_' || n, '1', 1, 'x', 'trempy_many_' || n, '0/1' from generate_series(1, %(tasks)s) n;
insert into trempy.checkpoints (task_name, end_lsn, change_count)
select 'many_' || n, '0/2', n from generate_series(1, %(tasks)s) n;
insert into trempy.capture_progress (task_name, published_lsn, seen_lsn)
select 'many_' || n, '0/2', '0/2' from generate_series(1, %(tasks)s) n;
insert into trempy.table_states (task_name, source_oid, source_schema, source_table, target_schema, target_table,
                                 key_columns, state, error_count)
select 'many_' || n, t, 's', 't' || t, 's', 't' || t, '{id}', case when t = 1 then 'loading' else 'ready' end, 1
from generate_series(1, %(tasks)s) n, generate_series(1, %(tables)s) t;
"""


@pytest.fixture
def opened(monkeypatch):
    """List the connections to databases that are opened for the page."""
    opened = []
    original = servers_module.quick_session

    @contextmanager
    def quick_session(conn_id, *, role):
        opened.append((conn_id, role))
        with original(conn_id, role=role) as session:
            yield session

    monkeypatch.setattr(servers_module, "quick_session", quick_session)
    return opened


def test_a_hundred_tasks_of_two_hundred_tables_cost_a_connection_to_each_server(connections, opened):
    with servers_module.quick_endpoint("trempy_target", role="target").connect("test") as session:
        migrate(session)
        session.execute(ROWS, {"tasks": TASKS, "tables": TABLES})
    tasks = [load_task(make_settings(f"many_{n}"), origin="test") for n in range(1, TASKS + 1)]
    servers = Servers(SharedReads(wait_seconds=30))

    began_at = time.monotonic()
    readings = servers.read(tasks, among=tasks)
    seconds = time.monotonic() - began_at
    servers.read(tasks[:1], among=tasks)
    servers.read(tasks, among=tasks)

    assert sorted(opened) == [("trempy_source", "source"), ("trempy_target", "target")]
    assert seconds < QUICK_SECONDS
    last = readings[f"many_{TASKS}"]
    assert last.problem is None
    assert (last.overview.tables.total, last.overview.tables.loading) == (TABLES, 1)
    assert last.overview.checkpoint.change_count == TASKS
