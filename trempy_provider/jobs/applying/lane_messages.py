"""What apply and its lanes say to each other, over a pipe; both ends are processes of ours."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.lease import Lease
from trempy_provider.postgres.parameters import ConnectionParameters


@dataclass(frozen=True, slots=True)
class LaneStart:
    """What a lane is to do; the connections are those of now. `log_level` is that of all loggers."""

    task: ReplicationTask
    lane: int
    target: ConnectionParameters = field(repr=False)
    broker: Broker
    lease: Lease
    log_level: int


class Request(Enum):
    """What a lane is asked for besides applying messages: to end after those it has, or at once."""

    END = "end"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Done:
    """A lane has settled the message with this tag; the report is of all it has done."""

    tag: int
    report: ApplyReport


@dataclass(frozen=True, slots=True)
class Failed:
    """A lane ends with an error."""

    error: TrempyError


Answer = Done | Failed | logging.LogRecord


def portable(error: Exception, *, lane: int) -> TrempyError:
    """Return an error as another process can raise it."""
    if isinstance(error, TrempyError):
        return error
    return TrempyError(f"lane {lane} of apply has failed: {type(error).__name__}: {error}")
