"""What all operators share: settings, endpoints, stopping, and errors in Airflow's terms.

An error that mends by itself becomes an AirflowException, which Airflow retries.
One that needs a person becomes an AirflowFailException, which it does not, and its reason is recorded in the
task's metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, MetadataError, RetryPolicy, TrempyError
from trempy_provider.hooks.endpoints import TaskEndpoints, endpoints_of
from trempy_provider.hooks.rabbitmq import RabbitMQHook, queue_url
from trempy_provider.hooks.settings import find_settings
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.stop_record import clear_stop_of, record_stop_of
from trempy_provider.operators.links import RabbitMQQueueLink
from trempy_provider.operators.structured_logs import show_fields

if TYPE_CHECKING:
    from airflow.sdk import Context

INLINE_ORIGIN = "parameter settings"


@dataclass(frozen=True, slots=True)
class JobRun:
    """What a job is run with."""

    task: ReplicationTask
    endpoints: TaskEndpoints
    stop: StopSignal
    context: Context


class TrempyOperator(BaseOperator):
    """Run one job of a replication task.

    Give either `task_name` or `settings`.
    The job's report is the task's XCom: small facts, never rows.

    :param task_name: the task, kept in the Variable `trempy_task_<task_name>` or in `trempy_tasks`
    :param settings: the settings themselves, as an object or as JSON text
    """

    template_fields: Sequence[str] = ("task_name", "settings")
    template_fields_renderers: ClassVar[dict[str, str]] = {"settings": "json"}
    operator_extra_links = (RabbitMQQueueLink(),)
    ui_color = "#dfeaf7"
    job: ClassVar[str]
    stops_task: ClassVar[bool] = True  # an error that needs a person is why the task does not go on

    def __init__(
        self, *, task_name: str = "", settings: Mapping[str, Any] | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.task_name = task_name
        self.settings = settings
        self._stop: StopSignal | None = None

    def execute(self, context: Context) -> Any:
        """Run the job and return its report as the XCom."""
        task = self.replication_task()
        endpoints = endpoints_of(task)
        with self.guarded(endpoints) as stop:
            return self.run_job(JobRun(task, endpoints, stop, context))

    def run_job(self, run: JobRun) -> Any:
        """Run the job; what it returns is the XCom."""
        raise NotImplementedError

    def on_kill(self) -> None:
        """Ask the running job to stop; its loops look at least once a second."""
        if self._stop is not None:
            self._stop.set(f"Airflow ended task {self.task_id}")

    def replication_task(self) -> ReplicationTask:
        """Return the validated settings; raise AirflowFailException when they are wrong."""
        with self._in_airflow_terms():
            if self.settings is None:
                return find_settings(self.task_name).load()
            task = load_task(self.settings, origin=INLINE_ORIGIN)
            if self.task_name and self.task_name != task.task_name:
                raise ConfigurationError(
                    f"task_name is {self.task_name!r}, the settings name {task.task_name!r}"
                )
            return task

    def queue_url(self) -> str | None:
        """Return the address of the task's queue in the management interface, None where there is none."""
        task = self.replication_task()
        if not task.captures_changes:
            return None
        return queue_url(RabbitMQHook(task.broker_conn_id).parameters(), task.task_name)

    @contextmanager
    def guarded(self, endpoints: TaskEndpoints) -> Iterator[StopSignal]:
        """Give the block a stop signal, and translate what it raises; record or clear the task's stop."""
        self._stop = StopSignal()
        show_fields()
        with self._in_airflow_terms(endpoints if self.stops_task else None):
            yield self._stop
        if self.stops_task:
            clear_stop_of(endpoints.target, job=self.job)

    @contextmanager
    def _in_airflow_terms(self, endpoints: TaskEndpoints | None = None) -> Iterator[None]:
        try:
            yield
        except TrempyError as error:
            message = error.explanation
            if error.policy is RetryPolicy.BY_ITSELF:
                raise AirflowException(message) from error
            if endpoints is not None and not isinstance(error, MetadataError):
                record_stop_of(endpoints.target, job=self.job, reason=message)
            raise AirflowFailException(message) from error
