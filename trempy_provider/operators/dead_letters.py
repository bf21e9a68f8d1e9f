"""The operator of `jobs/dead_letters.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.errors import ConfigurationError
from trempy_provider.jobs.dead_letters import (
    SettleReport,
    discard_dead_letters,
    list_dead_letters,
    replay_dead_letters,
)
from trempy_provider.operators.base import JobRun, TrempyOperator

ACTIONS = ("list", "replay", "discard")


class TrempyDeadLettersOperator(TrempyOperator):
    """List, replay or discard messages that could not be applied.

    A replay goes in order, has its effect once, and never writes an older value over a newer one: rows that
    have changed since are counted in the XCom and recorded in `trempy.apply_errors`.
    The XCom has no rows; `trempy dead-letters show` prints them.

    :param action: `list`, `replay` or `discard`
    :param message_ids: only these, as `list` names them; all by default, but a discard has to name them
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "action", "message_ids")
    job = "dead_letters"
    stops_task = False

    def __init__(
        self,
        *,
        action: str = "list",
        message_ids: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.message_ids = message_ids

    def run_job(self, run: JobRun) -> Any:
        """Do what is asked; raise the first error of a letter after all have had their turn."""
        task, target, broker = run.task, run.endpoints.target, run.endpoints.broker
        names = list(self.message_ids) if self.message_ids else None
        match self.action:
            case "list":
                return list_dead_letters(task, target=target, broker=broker).as_dict()
            case "replay":
                return _settled(
                    replay_dead_letters(task, target=target, broker=broker, message_ids=names, stop=run.stop)
                )
            case "discard" if names is not None:
                return _settled(discard_dead_letters(task, target=target, broker=broker, message_ids=names))
            case "discard":
                raise ConfigurationError("message_ids is empty: what is discarded has to be named")
        raise ConfigurationError(f"action is {self.action!r}; expected one of {', '.join(ACTIONS)}")


def _settled(report: SettleReport) -> Any:
    if report.error is not None:
        raise report.error
    return report.as_dict()
