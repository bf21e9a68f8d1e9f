"""Turn pika's errors into ours, by class and AMQP reply code; nothing else in the package interprets them.

The reply codes are those of AMQP 0-9-1, section 1.2, as RabbitMQ uses them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pika import exceptions
from pika.adapters.utils import connection_workflow

from trempy_provider.errors import (
    BrokerError,
    BrokerPermissionError,
    BrokerUnavailableError,
    TopologyError,
    TrempyError,
)

DRIVER_ERRORS = (exceptions.AMQPError, connection_workflow.AMQPConnectorException, OSError)

ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406

ERRORS_BY_REPLY_CODE: Mapping[int, type[BrokerError]] = {
    200: BrokerUnavailableError,  # an operator closed the connection
    311: BrokerError,  # content too large
    320: BrokerUnavailableError,  # connection forced: the broker shuts down, or an operator closed it
    402: BrokerPermissionError,  # invalid path: an unknown virtual host, before RabbitMQ 3
    ACCESS_REFUSED: BrokerPermissionError,
    NOT_FOUND: TopologyError,
    405: TopologyError,  # resource locked: exclusive to another connection
    PRECONDITION_FAILED: TopologyError,
    504: BrokerUnavailableError,  # channel error
    506: BrokerUnavailableError,  # resource error
    530: BrokerPermissionError,  # not allowed: the virtual host does not exist, or is not for this user
    541: BrokerUnavailableError,  # internal error: a queue's process or the virtual host is down
}

WORDS_BY_CLASS: Mapping[type[BaseException], str] = {
    connection_workflow.AMQPConnectorStackTimeout: "no answer within the connection timeout",
    exceptions.ConnectionOpenAborted: "no answer within the connection timeout",
    TimeoutError: "no answer within the connection timeout",
    exceptions.AMQPHeartbeatTimeout: "the broker sent no heartbeat",
    exceptions.ConnectionBlockedTimeout: "the broker takes no messages now (a memory or disk alarm)",
    exceptions.IncompatibleProtocolError: (
        "the server closed the connection before it spoke AMQP 0-9-1"
        " (as it does when its port expects TLS, or when it asks for a client's certificate)"
    ),
    exceptions.StreamLostError: "the connection was lost",
}

# Reply texts that mean something else than their code.
ACK_TIMEOUT_TEXT = "delivery acknowledgement"
TOO_LARGE_TEXT = "larger than"

ACK_TIMEOUT_HINT = (
    "The message goes back to the queue and is applied again. "
    "If one batch takes longer than the broker's consumer_timeout, raise that (rabbitmq.conf)."
)
TOO_LARGE_HINT = (
    "Lower cdc_settings.batch_max_bytes, or raise max_message_size of the broker (rabbitmq.conf)."
)
TLS_HINT = "Check ca_file, certificate_file, key_file and server_name, and that the port speaks TLS."

# pika keeps the broker's answer to a failed opening only as text.
_REPLY_IN_TEXT = re.compile(r"ConnectionClosedByBroker: \((\d+)\) ['\"](.*)['\"]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the broker said when it closed a channel or a connection."""

    reply_code: int
    reply_text: str

    def __str__(self) -> str:
        return f"{self.reply_code} {self.reply_text}"


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise what pika raises inside the block as our errors; `doing` completes "cannot …"."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translated(error, doing=doing) from error
    except ValueError as error:
        if not _is_lost_socket(error):
            raise
        raise translated(error, doing=doing) from error


def translated(error: BaseException, *, doing: str) -> TrempyError:
    """Return our error for one of pika's, its cause attached."""
    if isinstance(error, TrempyError):
        return error
    translation = _translate(_root_cause(error), prefix=f"cannot {doing}")
    translation.__cause__ = error
    return translation


def refusal_of(error: BaseException | None) -> Refusal | None:
    """Return the broker's refusal inside pika's error, or None when the broker did not refuse."""
    if isinstance(error, (exceptions.ChannelClosedByBroker, exceptions.ConnectionClosedByBroker)):
        return Refusal(int(error.reply_code), str(error.reply_text))
    if match := _REPLY_IN_TEXT.search(str(error)):
        return Refusal(int(match[1]), match[2])
    return None


def _translate(error: BaseException, *, prefix: str) -> BrokerError:
    if refusal := refusal_of(error):
        return _translate_refusal(refusal, prefix=prefix)
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return BrokerError(f"{prefix}: TLS failed: {error.strerror or error}", hint=TLS_HINT)
    if _is_lost_socket(error):
        return BrokerUnavailableError(f"{prefix}: the connection was lost")
    if isinstance(error, DRIVER_ERRORS):
        return BrokerUnavailableError(f"{prefix}: {_describe(error)}")
    return BrokerError(f"{prefix}: {type(error).__name__}: {error}")


def _translate_refusal(refusal: Refusal, *, prefix: str) -> BrokerError:
    message = f"{prefix}: the broker answered {refusal}"
    if ACK_TIMEOUT_TEXT in refusal.reply_text:
        return BrokerUnavailableError(message, hint=ACK_TIMEOUT_HINT)
    if TOO_LARGE_TEXT in refusal.reply_text:
        return BrokerError(message, hint=TOO_LARGE_HINT)
    return ERRORS_BY_REPLY_CODE.get(refusal.reply_code, BrokerError)(message)


def _is_lost_socket(error: BaseException) -> bool:
    """Tell pika's ValueError for a connection that was lost before it looked at the socket."""
    return isinstance(error, ValueError) and isinstance(error.__context__, OSError)


def _root_cause(error: BaseException) -> BaseException:
    """Unwrap the layers pika puts around the failure of an opening."""
    while (inner := _inner(error)) is not None:
        error = inner
    return error


def _inner(error: BaseException) -> BaseException | None:
    inner: object = None
    if isinstance(error, connection_workflow.AMQPConnectionWorkflowFailed):
        inner = error.exceptions[-1]
    elif isinstance(error, connection_workflow.AMQPConnectorPhaseErrorBase):
        inner = error.exception
    elif isinstance(error, exceptions.AMQPConnectionError) and error.args:
        inner = error.args[0]
    return inner if isinstance(inner, BaseException) else None


def _describe(error: BaseException) -> str:
    """Say in words what pika says by class names."""
    for kind, words in WORDS_BY_CLASS.items():
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"the connection failed ({type(error).__name__})"
