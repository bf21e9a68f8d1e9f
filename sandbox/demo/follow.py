"""The replication task as the demo drives it: through Airflow's REST API, watched through the metadata tables."""

import json
import time
from collections.abc import Callable
from importlib.resources import files

from sandbox.airflow_api import AirflowApi
from sandbox.demo.databases import session
from sandbox.demo.metadata import ChangeProgress, LoadProgress, Metadata
from sandbox.demo.report import LiveFacts
from sandbox.demo.stack import Stack
from sandbox.demo.terminal import Step

TASK_NAME = "shop"
VARIABLE = f"trempy_task_{TASK_NAME}"
FULL_LOAD_DAG = f"trempy_{TASK_NAME}_full_load"
CDC_DAG = f"trempy_{TASK_NAME}_cdc"

PARSE_TIMEOUT_SECONDS = 90
LOAD_TIMEOUT_SECONDS = 300
CATCH_UP_TIMEOUT_SECONDS = 180
SAMPLE_SECONDS = 0.25
LOG_CHARACTERS = 3000
KEEPING_UP_SECONDS = 3.0  # a target less behind than this has worked off what piled up during the load


class ReplicationError(RuntimeError):
    """The task failed, or is not done in time."""


class ReplicationTaskDriver:
    """The demo's replication task in one stack."""

    def __init__(self, stack: Stack):
        self._source = stack.source
        self._target = stack.target
        self._api: AirflowApi = stack.api

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
        with session(self._source.superuser_uri) as source:
            lsn = read_wal_lsn(source)
        metadata = self._open_metadata()
        try:
            self._wait_until(
                lambda: self._has_reached(lsn, metadata, step),
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
            raise ReplicationError(f"the full load failed\n{self._describe_failure(FULL_LOAD_DAG, run_id)}")
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

    def _has_reached(self, lsn: int, metadata: Metadata, step: Step) -> bool:
        progress = self._read_changes(metadata)
        if progress is None:
            return False
        step.show(f"{max(lsn - progress.applied_lsn, 0):,} bytes of WAL to go")
        return progress.has_reached(lsn)

    def _sample(  # noqa: PLR0913
        self, facts: LiveFacts, metadata: Metadata, source: object, *, seconds: float, step: Step,
        check: Callable[[], object],
    ) -> None:  # fmt: skip
        started = time.monotonic()
        first = last = self._require_changes(metadata)
        while (elapsed := time.monotonic() - started) < seconds:
            wal_lsn = read_wal_lsn(source)
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
            raise ReplicationError(f"the task has stopped: {reason}\n{self._describe_last_run()}")
        return metadata.change_progress()

    def _wait_until(
        self, condition: Callable[[], bool], *, what: str, timeout_seconds: float, poll_seconds: float = 0.5
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ReplicationError(
                    f"waited {timeout_seconds:.0f} s in vain for {what}\n{self._describe_last_run()}"
                )
            time.sleep(poll_seconds)

    def _describe_last_run(self) -> str:
        runs = self._api.dag_runs(CDC_DAG)
        if not runs:
            return f"{CDC_DAG} has not run"
        return self._describe_failure(CDC_DAG, runs[0]["dag_run_id"])

    def _describe_failure(self, dag_id: str, run_id: str) -> str:
        """Return the states of a run's tasks and the ends of the logs of those that did not succeed."""
        lines = []
        for instance in self._api.task_instances(dag_id, run_id):
            task_id, state, attempt = instance["task_id"], instance["state"], instance["try_number"]
            lines.append(f"{dag_id}.{task_id}: {state}, attempt {attempt}")
            if state not in {"success", None} and attempt:
                log = self._api.task_log(dag_id, run_id, task_id, try_number=attempt)
                lines.append(log[-LOG_CHARACTERS:])
        return "\n".join(lines)


def read_wal_lsn(source: object) -> int:
    """Return the end of the source's WAL as a number of bytes."""
    with source.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        return int(cursor.fetchone()[0])


def settings_text() -> str:
    """Return the task's settings."""
    return json.dumps({})
