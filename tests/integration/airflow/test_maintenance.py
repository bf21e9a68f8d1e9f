"""The operator behind `trempy_<task>_maintenance`, without an Airflow around it."""

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trempy_provider.config.loader import load_task
from trempy_provider.dag_factory import maintenance_dag
from trempy_provider.operators.maintenance import TrempyMaintenanceOperator
from trempy_provider.operators.setup import TrempySetupOperator

SKIPPED = """
insert into trempy.skipped_transactions (task_name, commit_lsn, skipped_at)
select %(name)s, n::text::numeric + '0/1'::pg_lsn, now() - make_interval(days => n) from generate_series(1, 40) n
"""


@pytest.fixture
def maintain(connections, settings):
    """Return a function that does one thing to a task that is set up, as a run of its DAG does."""
    connections.source_admin.execute("create table public.orders (id bigint primary key, note text)")
    TrempySetupOperator(task_id="setup", settings=settings).execute({"params": {}})

    def run(action):
        operator = TrempyMaintenanceOperator(task_id="tested", settings=settings, action=action)
        return operator.execute({"params": {}})

    return run


def test_prune_deletes_what_the_settings_let_go_of(connections, settings, maintain):
    settings["error_handling"] = {"history_retention_days": 30}
    connections.target.execute(SKIPPED, {"name": settings["task"]["task_name"]})

    report = maintain("prune")

    assert report == {"apply_error_count": 0, "dead_letter_count": 0, "skipped_transaction_count": 11}
    assert connections.target.fetch_value("select count(*) from trempy.skipped_transactions") == 29


def test_the_dag_offers_what_the_operator_can_do_and_no_more(settings, maintain):
    offered = maintenance_dag(load_task(settings, origin="test")).params.get_param("action").schema["enum"]

    assert {"prune", "sweep", "tear_down"} < set(offered)
    with pytest.raises(AirflowFailException, match=", ".join(offered)):
        maintain("burn")
