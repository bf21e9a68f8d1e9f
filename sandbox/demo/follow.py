"""The demo's replication task: driven through Airflow's REST API, watched through the metadata tables."""

import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from sandbox.airflow_api import AirflowApiError
from sandbox.demo.databases import DemoDatabase, session
from sandbox.demo.failures import describe_last_run, describe_run
from sandbox.demo.metadata import ChangeProgress, LoadProgress, Metadata
from sandbox.demo.report import LiveFacts
from sandbox.demo.stack import Stack
from sandbox.demo.terminal import Step
from trempy_provider.jobs.caught_up import current_position, is_caught_up
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.replication.lsn import Lsn

TASK_NAME = "shop"
VARIABLE = f"trempy_task_{TASK_NAME}"
FULL_LOAD_DAG = f"trempy_{TASK_NAME}_full_load"
CDC_DAG = f"trempy_{TASK_NAME}_cdc"

PARSE_TIMEOUT_SECONDS = 90
LOAD_TIMEOUT_SECONDS = 900
CATCH_UP_TIMEOUT_SECONDS = 300
SAMPLE_SECONDS = 0.25
KEEPING_UP_SECONDS = 3.0  # a target less behind than this has worked off what piled up during the load


class ReplicationError(RuntimeError):
    """The task failed, or is not done in time."""


class ReplicationTaskDriver:
    """The demo's replication task in one stack."""

    def __init__(self, stack: Stack):
        self._source = stack.source
        self._target = stack.target
        self._api = stack.api

    def define(self) -> None:
        """Write the settings into an Airflow Variable and wait for the two DAGs that come of it."""
        settings = files("sandbox.demo").joinpath("shop", "task.json").read_text(encoding="utf-8")
        self._api.set_variable(VARIABLE, settings)
        for dag_id in (FULL_LOAD_DAG, CDC_DAG):
            self._api.wait_for_dag(dag_id, timeout_seconds=PARSE_TIMEOUT_SECONDS)

    def load(self, step: Step) -> LoadProgress:
        """Trigger the full load DAG and wait for its success."""
        run_id = self._api.trigger(FULL_LOAD_DAG)
        metadata = self._open_metadata()
        try:
            self._wait_until(
                lambda: self._load_is_done(run_id, metadata, step),
                what="the full load",
                dag_id=FULL_LOAD_DAG,
                timeout_seconds=LOAD_TIMEOUT_SECONDS,
                poll_seconds=1,
            )
            progress = metadata.load_progress()
        finally:
            metadata.close()
        if progress is None or progress.ready_tables < progress.tables:
            raise ReplicationError(f"the full load has succeeded, but not every table is ready: {progress}")
        return progress

    def start_cdc(self) -> None:
        """Let the CDC DAG run from now on."""
        self._api.unpause(CDC_DAG)

    def wait_until_keeping_up(self, step: Step) -> None:
        """Wait until the target is only a few seconds behind its busy source."""
        metadata = self._open_metadata()
        try:
            self._wait_until(
                lambda: self._keeps_up(metadata, step),
                what="the target to keep up with the source",
                timeout_seconds=CATCH_UP_TIMEOUT_SECONDS,
            )
        finally:
            metadata.close()

    def sample(self, step: Step, *, seconds: float, check: Callable[[], object]) -> LiveFacts:
        """Watch the task work for a while; `check` is called every second."""
        facts = LiveFacts()
        metadata = self._open_metadata()
        try:
            with session(self._source.superuser_uri) as source:
                source.autocommit = True
                self._sample(facts, metadata, source, seconds=seconds, step=step, check=check)
        finally:
            metadata.close()
        return facts

    def wait_until_caught_up(self, step: Step) -> None:
        """Wait until everything committed on the source so far is applied to the target."""
        lsn = current_position(_endpoint(self._source, role="source"))
        target = _endpoint(self._target, role="target")
        metadata = self._open_metadata()
        try:
            self._wait_until(
                lambda: self._has_caught_up(target, lsn, metadata, step),
                what="the target to catch up with the source",
                timeout_seconds=CATCH_UP_TIMEOUT_SECONDS,
            )
        finally:
            metadata.close()

    def _open_metadata(self) -> Metadata:
        return Metadata(self._target.provider_uri, task_name=TASK_NAME)

    def _load_is_done(self, run_id: str, metadata: Metadata, step: Step) -> bool:
        state = self._api.dag_run(FULL_LOAD_DAG, run_id)["state"]
        if state == "failed":
            raise ReplicationError(f"the full load failed\n{describe_run(self._api, FULL_LOAD_DAG, run_id)}")
        if progress := metadata.load_progress():
            step.show(
                f"{progress.loaded_rows:,} of about {progress.estimated_rows:,} rows,"
                f" {progress.ready_tables} of {progress.tables} tables ready"
            )
        return bool(state == "success")

    def _keeps_up(self, metadata: Metadata, step: Step) -> bool:
        progress = self._read_changes(metadata)
        if progress is None or not progress.transaction_count:
            step.show("waiting for the first changes")
            return False
        step.show(f"{progress.change_count:,} changes applied, {progress.lag_seconds:.1f} s behind")
        return progress.lag_seconds < KEEPING_UP_SECONDS

    def _has_caught_up(self, target: Endpoint, lsn: Lsn, metadata: Metadata, step: Step) -> bool:
        progress = self._require_changes(metadata)
        step.show(f"{max(lsn - progress.applied_lsn, 0):,} bytes of WAL to go")
        return is_caught_up(target, TASK_NAME, lsn=lsn)

    def _sample(
        self, facts: LiveFacts, metadata: Metadata, source: Any, *, seconds: float, step: Step,
        check: Callable[[], object],
    ) -> None:  # fmt: skip
        started = time.monotonic()
        first = last = self._require_changes(metadata)
        while (elapsed := time.monotonic() - started) < seconds:
            wal_lsn = _read_wal_lsn(source)
            last = self._require_changes(metadata)
            facts.lag_seconds.append(last.lag_seconds)
            facts.lag_bytes.append(max(wal_lsn - last.applied_lsn, 0))
            if len(facts.lag_seconds) % round(1 / SAMPLE_SECONDS) == 0:
                check()
                changes = last.change_count - first.change_count
                step.show(
                    f"{elapsed:.0f} of {seconds:.0f} s, {changes:,} changes, {last.lag_seconds:.2f} s behind"
                )
            time.sleep(SAMPLE_SECONDS)
        facts.seconds = time.monotonic() - started
        facts.transactions = last.transaction_count - first.transaction_count
        facts.changes = last.change_count - first.change_count

    def _require_changes(self, metadata: Metadata) -> ChangeProgress:
        progress = self._read_changes(metadata)
        if progress is None:
            raise ReplicationError("the task's checkpoint has vanished from the target")
        return progress

    def _read_changes(self, metadata: Metadata) -> ChangeProgress | None:
        if reason := metadata.stop_reason():
            raise ReplicationError(f"the task has stopped: {reason}\n{describe_last_run(self._api, CDC_DAG)}")
        return metadata.change_progress()

    def _wait_until(
        self, condition: Callable[[], bool], *, what: str, timeout_seconds: float, dag_id: str = CDC_DAG,
        poll_seconds: float = 0.5,
    ) -> None:  # fmt: skip
        deadline = time.monotonic() + timeout_seconds
        while not _holds(condition):
            if time.monotonic() > deadline:
                run = describe_last_run(self._api, dag_id)
                raise ReplicationError(f"waited {timeout_seconds:.0f} s in vain for {what}\n{run}")
            time.sleep(poll_seconds)


def _holds(condition: Callable[[], bool]) -> bool:
    """Ask; a busy Airflow that does not answer in time is asked again."""
    try:
        return condition()
    except AirflowApiError as error:
        if error.status != 0:
            raise
        return False


def _endpoint(database: DemoDatabase, *, role: str) -> Endpoint:
    parameters = ConnectionParameters.from_uri(database.provider_uri)
    return Endpoint(lambda: parameters, task_name=TASK_NAME, role=role)


def _read_wal_lsn(source: Any) -> int:
    """Return the end of the source's WAL as a number of bytes."""
    with source.cursor() as cursor:
        cursor.execute("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        return int(cursor.fetchone()[0])
