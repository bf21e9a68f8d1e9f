"""The operator behind `trempy_<task>_maintenance`: what the DAG run's param `action` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from trempy_provider.errors import ConfigurationError
from trempy_provider.jobs.dead_letters import SettleReport, discard_dead_letters, replay_dead_letters
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.pause import pause
from trempy_provider.jobs.progress import LogProgress
from trempy_provider.jobs.prune import prune
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.resume import resume
from trempy_provider.jobs.sweep import sweep
from trempy_provider.jobs.sync_sequences import sync_sequences
from trempy_provider.jobs.teardown import teardown
from trempy_provider.operators.base import JobRun, TrempyOperator

SWEEP = "sweep"


class TrempyMaintenanceOperator(TrempyOperator):
    """Do one thing to a task; the report of what was done is the XCom.

    The DAG run's params `message_ids`, `remove` and `confirm` say more, where the action needs it.

    :param action: one of `ACTIONS`
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "action")
    job = "maintenance"
    stops_task = False

    def __init__(self, *, action: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action = action

    def run_job(self, run: JobRun) -> Any:
        """Do what is asked; raise ConfigurationError for what is not one of the actions."""
        act = ACTIONS.get(self.action)
        if act is None:
            raise ConfigurationError(f"action is {self.action!r}; expected one of {', '.join(ACTIONS)}")
        return act(run)


def _pause(run: JobRun) -> Any:
    return pause(run.task, target=run.endpoints.target, stop=run.stop).as_dict()


def _resume(run: JobRun) -> Any:
    return resume(run.task, target=run.endpoints.target).as_dict()


def _refresh(run: JobRun) -> Any:
    """Pick up the tables, and load those that are new."""
    report = refresh(run.task, **run.endpoints.for_job(run.task))
    loaded = None
    if report.added and run.task.loads_fully:
        loaded = full_load(
            run.task,
            source=run.endpoints.source,
            target=run.endpoints.target,
            tables=list(report.added),
            stop=run.stop,
            progress=LogProgress(),
        )
    return {**report.as_dict(), "full_load": None if loaded is None else loaded.as_dict()}


def _replay(run: JobRun) -> Any:
    return _settled(
        replay_dead_letters(
            run.task,
            target=run.endpoints.target,
            broker=run.endpoints.broker,
            message_ids=_message_ids(run) or None,
            stop=run.stop,
        )
    )


def _discard(run: JobRun) -> Any:
    names = _message_ids(run)
    if not names:
        raise ConfigurationError(
            "param message_ids is empty: what is discarded has to be named",
            hint="`trempy dead-letters list` and the page Replication name the dead letters.",
        )
    return _settled(
        discard_dead_letters(
            run.task, target=run.endpoints.target, broker=run.endpoints.broker, message_ids=names
        )
    )


def _sync_sequences(run: JobRun) -> Any:
    return sync_sequences(run.task, source=run.endpoints.source, target=run.endpoints.target).as_dict()


def _sweep(run: JobRun) -> Any:
    remove = list(run.context["params"]["remove"])
    return sweep(run.task, **run.endpoints.for_job(run.task), remove=remove).as_dict()


def _prune(run: JobRun) -> Any:
    return prune(run.task, target=run.endpoints.target).as_dict()


def _tear_down(run: JobRun) -> Any:
    """Let the leases end, then remove everything but the rows."""
    typed = run.context["params"]["confirm"]
    if typed != run.task.task_name:
        raise ConfigurationError(
            f"param confirm is {typed!r}; expected the name of the task, {run.task.task_name!r}",
            hint="It is typed so that no task is torn down by mistake.",
        )
    if run.task.captures_changes:
        pause(run.task, target=run.endpoints.target, stop=run.stop)
    return teardown(run.task, **run.endpoints.for_job(run.task)).as_dict()


def _message_ids(run: JobRun) -> list[str]:
    return [str(name) for name in run.context["params"]["message_ids"]]


def _settled(report: SettleReport) -> Any:
    if report.error is not None:
        raise report.error
    return report.as_dict()


ACTIONS: Mapping[str, Callable[[JobRun], Any]] = MappingProxyType(
    {
        "pause": _pause,
        "resume": _resume,
        "refresh_tables": _refresh,
        "replay_dead_letters": _replay,
        "discard_dead_letters": _discard,
        "sync_sequences": _sync_sequences,
        SWEEP: _sweep,
        "prune": _prune,
        "tear_down": _tear_down,
    }
)
