"""A replication task between two test databases, with the product's own jobs as verbs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from sandbox.compare import compare_databases
from tests.support.databases import DatabasePair
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.apply import ApplyReport, apply
from trempy_provider.jobs.capture import CaptureReport, capture
from trempy_provider.jobs.caught_up import current_position, is_caught_up
from trempy_provider.jobs.full_load import FullLoadReport, full_load
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.jobs.setup import SetupReport, setup
from trempy_provider.jobs.teardown import teardown
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

CATCH_UP_SECONDS = 60.0
Result = TypeVar("Result")


def settings(task_name: str, tables: list[str], **options: Any) -> dict[str, Any]:
    """Return the settings of a task; `entries` are more of tables[], the other options whole sections."""
    task: dict[str, Any] = {
        "task_name": task_name,
        "replication_type": "full_load_and_cdc",
        "create_table_if_not_exists": True,
        **options.pop("task", {}),
    }
    names = [QualifiedName.parse(name) for name in tables]
    entries = [{"schema_name": name.schema_name, "table_name": name.table_name} for name in names]
    return {"task": task, "tables": [*entries, *options.pop("entries", [])], **options}


class Replication:
    """A task, its endpoints and its broker."""

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        databases: DatabasePair,
        rabbitmq_uri: str,
        metadata_uri: str | None = None,
    ) -> None:
        self.databases = databases
        self.rabbitmq_uri = rabbitmq_uri
        self.task: ReplicationTask = load_task(given, origin="test")
        name = self.task.task_name
        self.source = Endpoint(
            lambda: ConnectionParameters.from_uri(databases.source_uri), task_name=name, role="source"
        )
        self.keep_metadata_in(metadata_uri)
        self.broker = RabbitMqBroker(lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=name)
        self._captured_until: Lsn | None = None

    def keep_metadata_in(self, uri: str | None) -> None:
        """Go on as with another metadata_conn_id; None is the target."""
        name, metadata = self.task.task_name, None
        if uri is not None:
            metadata = Endpoint(lambda: ConnectionParameters.from_uri(uri), task_name=name, role="metadata")
        self.target = Endpoint(
            lambda: ConnectionParameters.from_uri(self.databases.target_uri),
            task_name=name,
            role="target",
            metadata=metadata,
        )

    def change_settings(self, given: Mapping[str, Any]) -> None:
        """Go on with other settings of the same task."""
        self.task = load_task(given, origin="test")

    def setup(self, *, restart: bool = False) -> SetupReport:
        return setup(self.task, source=self.source, target=self.target, broker=self.broker, restart=restart)

    def load(self, **options: Any) -> FullLoadReport:
        return full_load(self.task, source=self.source, target=self.target, stop=StopSignal(), **options)

    def capture(
        self, *, seconds: float | None = None, stop: StopSignal | None = None, until: Lsn | None = None
    ) -> CaptureReport:
        """Capture until everything committed now is published, or for some seconds."""
        self._captured_until = until or (current_position(self.source) if seconds is None else None)
        return capture(
            self.task,
            source=self.source,
            target=self.target,
            broker=self.broker,
            lease=self._lease(seconds, self._captured_until),
            stop=stop or StopSignal(),
        )

    def apply(
        self, *, seconds: float | None = None, stop: StopSignal | None = None, until: Lsn | None = None
    ) -> ApplyReport:
        """Apply what capture was asked for last, or for some seconds.

        Later WAL, of autovacuum for one, nobody captures: waiting for it would be in vain.
        """
        return apply(
            self.task,
            target=self.target,
            broker=self.broker,
            lease=self._lease(seconds, until or self._captured_until),
            stop=stop or StopSignal(),
        )

    def catch_up(self) -> tuple[CaptureReport, ApplyReport]:
        """Capture, then apply, until both have caught up."""
        captured, applied = self.capture(), self.apply()
        assert captured.end_reason == "caught_up"
        assert applied.end_reason == "caught_up"
        return captured, applied

    def wait_until_level(self) -> None:
        """Wait until jobs that run elsewhere have applied everything committed now."""
        lsn = current_position(self.source)
        wait_until(
            lambda: is_caught_up(self.target, self.task.task_name, lsn=lsn),
            timeout_seconds=CATCH_UP_SECONDS,
            what="the target to catch up",
        )

    def _lease(self, seconds: float | None, until: Lsn | None) -> Lease:
        if seconds is not None:
            return Lease.lasting(seconds)
        return Lease.lasting(CATCH_UP_SECONDS, caught_up_lsn=until or current_position(self.source))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run capture and apply beside the block; raise what they raised."""
        stop = StopSignal()
        jobs = [Background(lambda: self.capture(seconds=300, stop=stop))]
        jobs.append(Background(lambda: self.apply(seconds=300, stop=stop)))
        try:
            yield
        finally:
            stop.set()
            for job in jobs:
                job.result()

    def assert_equal(self) -> None:
        """Compare the task's tables on both sides."""
        states = self.metadata(
            "select format('%I.%I', source_schema, source_table) from trempy.table_states"
            " where task_name = {task}"
        )
        compared = compare_databases(
            self.databases.source_admin_uri,
            self.databases.target_admin_uri,
            tables=[name for (name,) in states],
        )
        differing = [comparison for comparison in compared if not comparison.is_equal]
        assert compared
        assert differing == []

    def metadata(self, query: str) -> list[tuple[Any, ...]]:
        """Query the metadata; `{task}` stands for the task's name."""
        quoted = f"'{self.task.task_name}'"
        return self.databases.target.fetch_all(query.replace("{task}", quoted))

    def errors(self) -> list[tuple[Any, ...]]:
        """Return the rows recorded as errors: table, operation and SQLSTATE."""
        return self.metadata(
            "select target_table, operation, sqlstate from trempy.apply_errors"
            " where task_name = {task} order by error_id"
        )

    def teardown(self) -> None:
        teardown(self.task, source=self.source, target=self.target, broker=self.broker)


class Background:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._error: BaseException | None = None
        self._result: Any = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self._result = call()
        except BaseException as error:  # noqa: BLE001 — raised again in result()
            self._error = error

    def result(self, timeout_seconds: float = 90) -> Any:
        self._thread.join(timeout_seconds)
        assert not self._thread.is_alive(), "the job did not end"
        if self._error is not None:
            raise self._error
        return self._result
