"""Figures of a task among Airflow's metrics, and the transaction in structured logs."""

import io
import json
import logging
import time
from collections import Counter
from types import SimpleNamespace

import pytest
import structlog
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.observability import stats

from tests.support.wait import wait_until
from trempy_provider.operators import metrics
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.monitor import TrempyMonitorOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.structured_logs import show_fields


class Backend:
    """A metrics backend that keeps what it is sent."""

    def __init__(self):
        self.counters = Counter()
        self.gauges = {}
        self.tags = set()

    def incr(self, stat, count=1, tags=None, **_):
        self.counters[stat] += count
        self.tags.update((tags or {}).items())

    def gauge(self, stat, value, tags=None, **_):
        self.gauges[stat] = value
        self.tags.update((tags or {}).items())


@pytest.fixture
def backend():
    backend = Backend()
    stats.initialize(factory=lambda: backend, export_legacy_names=False)
    yield backend
    stats.initialize(factory=Backend, export_legacy_names=False)


@pytest.fixture
def run(connections, settings):
    connections.source_admin.execute("create table public.orders (id bigint primary key, note text)")
    connections.source_admin.execute("insert into public.orders select n, 'old' from generate_series(1, 7) n")

    def run(operator_class):
        return operator_class(task_id="tested", settings=settings).execute(context)

    context = {"params": {}, "ti": SimpleNamespace(xcom_push=lambda **_: None)}
    return run


def follow(run):
    for operator in (TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(TaskDeferred):
            run(operator)


def test_rows_batches_errors_lag_and_retained_wal_are_metrics(run, backend, connections, task_name):
    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    connections.target_admin.execute("alter table public.orders add check (note <> 'bad')")
    connections.source_admin.execute(
        "update public.orders set note = case id when 1 then 'bad' else 'new' end"
    )

    follow(run)
    with pytest.raises(AirflowFailException, match="max_errors allows 0"):
        run(TrempyMonitorOperator)

    prefix = f"trempy.{task_name}."
    counters = {
        name.removeprefix(prefix): n for name, n in backend.counters.items() if name.startswith(prefix)
    }
    assert counters["full_load.row_count"] == 7
    assert counters["capture.change_count"] == counters["apply.change_count"] == 7
    assert counters["apply.error_count"] == 1
    assert counters["capture.batch_count"] == counters["apply.batch_count"] > 0
    assert counters["capture.published_bytes"] > 0
    assert backend.gauges[prefix + "lag_seconds"] >= 0
    assert backend.gauges[prefix + "retained_wal_bytes"] > 0
    assert backend.gauges[prefix + "error_count"] == 1
    assert ("replication_task", task_name) in backend.tags


def test_metrics_are_told_while_a_job_runs_and_nothing_twice(backend, monkeypatch):
    monkeypatch.setattr(metrics, "INTERVAL_SECONDS", 0.02)
    facts = {"batch_count": 1, "change_count": 5, "lag_seconds": 0.5, "end_lsn": "0/1"}
    report = SimpleNamespace(as_dict=lambda: dict(facts))

    with metrics.measuring("shop", "apply", report):
        wait_until(lambda: backend.counters["trempy.shop.apply.change_count"] == 5)
        facts["change_count"] = 8
        wait_until(lambda: backend.counters["trempy.shop.apply.change_count"] == 8)
        time.sleep(0.1)

    assert backend.counters == {"trempy.shop.apply.change_count": 8, "trempy.shop.apply.batch_count": 1}
    assert backend.gauges == {"trempy.shop.lag_seconds": 0.5}


@pytest.fixture
def json_log():
    """Return what a handler writes that formats as Airflow's do."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
        )
    )
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def test_row_that_fails_is_logged_with_its_transaction(run, connections, json_log, task_name):
    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    connections.target_admin.execute("alter table public.orders add check (note <> 'bad')")
    connections.source_admin.execute("update public.orders set note = 'bad' where id < 5")
    follow(run)
    show_fields()

    (entry,) = [entry for entry in json_log() if entry["logger"].endswith("row_errors")]

    xid = connections.target.fetch_value("select max(transaction_id) from trempy.apply_errors")
    assert entry["transaction_id"] == xid
    assert entry["replication_task"] == task_name
    assert "23514" in entry["event"]
    assert "bad" not in json.dumps(entry)
