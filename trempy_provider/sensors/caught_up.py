"""The sensor that lets other DAGs depend on fresh data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from trempy_provider.errors import ConfigurationError, RetryPolicy, TrempyError
from trempy_provider.hooks.endpoints import TaskEndpoints, endpoints_of
from trempy_provider.hooks.settings import find_settings
from trempy_provider.jobs.caught_up import current_position, current_time, is_caught_up, is_lag_below
from trempy_provider.replication.lsn import Lsn
from trempy_provider.triggers.caught_up import CaughtUpTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReplicationCaughtUpSensor(BaseSensorOperator):
    """Wait until the target holds everything that was committed on the source when the sensor was asked.

    The source's position is taken once, at the start, and kept while the sensor is deferred.
    With `lsn` or `committed_at` it waits for that position or commit time, and the source is not asked.
    With `max_lag_seconds` it waits until the target is no further behind than that, whenever that is.

    :param task_name: the replication task, kept in a Variable
    :param lsn: wait for this position of the source's WAL, such as `16/B374D848`
    :param committed_at: wait for everything committed up to this time, in ISO format (UTC without a zone)
    :param max_lag_seconds: wait until the lag, by commit time, is below this
    :param deferrable: wait in the triggerer, without a worker slot
    """

    template_fields: Sequence[str] = ("task_name", "lsn", "committed_at")
    ui_color = "#e7f4e4"

    def __init__(
        self,
        *,
        task_name: str,
        lsn: str | None = None,
        committed_at: datetime | str | None = None,
        max_lag_seconds: float | None = None,
        deferrable: bool = True,
        poke_interval: timedelta | float = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.task_name = task_name
        self.lsn = lsn
        self.committed_at = committed_at
        self.max_lag_seconds = max_lag_seconds
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Take the source's position, then wait; the XCom is what was waited for."""
        self.lsn, self.committed_at = self._goal()
        self.log.info(
            "Waiting for %s.", self.committed_at or self.lsn or f"a lag below {self.max_lag_seconds} s"
        )
        if not self.deferrable:
            super().execute(context)
        elif not self.poke(context):
            self._defer()
        return self._awaited()

    def poke(self, context: Context) -> bool:  # noqa: ARG002  # Airflow's signature
        """Ask the task's metadata."""
        try:
            endpoints = self._endpoints()
            if self.max_lag_seconds is not None:
                return is_lag_below(
                    endpoints.source, endpoints.target, self.task_name, seconds=self.max_lag_seconds
                )
            committed_at = None if self.committed_at is None else _read_time(self.committed_at)
            lsn = None if self.lsn is None else Lsn.parse(self.lsn)
            return is_caught_up(endpoints.target, self.task_name, lsn=lsn, committed_at=committed_at)
        except TrempyError as error:
            raise _in_airflow_terms(error) from error

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after the trigger, which fires too when an error needs a person."""
        self.lsn, self.committed_at = event["lsn"], event["committed_at"]
        self.max_lag_seconds = event.get("max_lag_seconds")
        if not self.poke(context):
            self._defer()
        return self._awaited()

    def _awaited(self) -> dict[str, Any]:
        awaited = {
            "lsn": self.lsn, "committed_at": self.committed_at, "max_lag_seconds": self.max_lag_seconds,
        }  # fmt: skip
        return {name: value for name, value in awaited.items() if value is not None}

    def _defer(self) -> None:
        task = find_settings(self.task_name).load()
        trigger = CaughtUpTrigger(
            task_name=self.task_name,
            target_conn_id=task.target_conn_id,
            metadata_conn_id=task.metadata_conn_id,
            lsn=self.lsn,
            committed_at=None if self.committed_at is None else str(self.committed_at),
            max_lag_seconds=self.max_lag_seconds,
            source_conn_id=task.source_conn_id,
            poll_interval_seconds=self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="resume", timeout=timedelta(seconds=self.timeout))

    def _goal(self) -> tuple[str | None, str | None]:
        """Return position or time, read strictly; the source's present position without either."""
        try:
            given = [goal for goal in (self.lsn, self.committed_at, self.max_lag_seconds) if goal is not None]
            if len(given) > 1:
                raise ConfigurationError(
                    "the sensor takes lsn, committed_at or max_lag_seconds, not two of them"
                )
            if self.max_lag_seconds is not None:
                if self.max_lag_seconds < 0:
                    raise ConfigurationError(f"max_lag_seconds is {self.max_lag_seconds}; allowed: 0 or more")
                return None, None
            if self.committed_at:
                return self._goal_of_time(_read_time(self.committed_at))
            if self.lsn:
                return str(Lsn.parse(self.lsn)), None
            return str(current_position(self._endpoints().source)), None
        except TrempyError as error:
            raise _in_airflow_terms(error) from error

    def _goal_of_time(self, committed_at: datetime) -> tuple[str | None, str | None]:
        """Once the source's clock is past the time, its position tells more exactly than any clock."""
        source = self._endpoints().source
        if current_time(source) > committed_at:
            return str(current_position(source)), None
        return None, committed_at.isoformat()

    def _endpoints(self) -> TaskEndpoints:
        return endpoints_of(find_settings(self.task_name).load())


def _read_time(value: datetime | str) -> datetime:
    """Read a time in ISO format, UTC where it names no zone."""
    moment = value if isinstance(value, datetime) else _parse_time(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _parse_time(text: str) -> datetime:
    try:
        moment = pendulum.parse(text)
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise ConfigurationError(f"committed_at is {text!r}; expected a time in ISO format")
    return moment


def _in_airflow_terms(error: TrempyError) -> AirflowException:
    kind = AirflowException if error.policy is RetryPolicy.BY_ITSELF else AirflowFailException
    return kind(error.explanation)
