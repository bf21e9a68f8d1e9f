"""pika's errors become ours by class and reply code."""

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow, io_services_utils

from trempy_provider.broker.preflight import check_server
from trempy_provider.broker.session import BrokerSession
from trempy_provider.broker.translation import translated, translating
from trempy_provider.errors import (
    BrokerError,
    BrokerPermissionError,
    BrokerUnavailableError,
    PublishError,
    RetryPolicy,
    TopologyError,
)

ACK_TIMEOUT = (
    "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms"
)
TOO_LARGE = "PRECONDITION_FAILED - message size 136314880 is larger than configured max size 134217728"


@pytest.mark.parametrize(
    ("reply_code", "expected"),
    [
        (320, BrokerUnavailableError),
        (403, BrokerPermissionError),
        (404, TopologyError),
        (405, TopologyError),
        (406, TopologyError),
        (530, BrokerPermissionError),
        (541, BrokerUnavailableError),
        (503, BrokerError),
    ],
)
def test_reply_code_decides_the_error(reply_code: int, expected: type[BrokerError]) -> None:
    error = exceptions.ChannelClosedByBroker(reply_code, "REASON - what it was")

    translation = translated(error, doing="read queue 'q'")

    assert type(translation) is expected
    assert str(translation) == f"cannot read queue 'q': the broker answered {reply_code} REASON - what it was"
    assert translation.__cause__ is error


@pytest.mark.parametrize(
    ("reply_text", "expected", "hint"),
    [(ACK_TIMEOUT, BrokerUnavailableError, "consumer_timeout"), (TOO_LARGE, BrokerError, "max_message_size")],
)
def test_some_failed_preconditions_are_told_apart_by_their_text(
    reply_text: str, expected: type[BrokerError], hint: str
) -> None:
    translation = translated(exceptions.ChannelClosedByBroker(406, reply_text), doing="read")

    assert type(translation) is expected
    assert hint in translation.hint


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (exceptions.StreamLostError("Transport indicated EOF"), "lost"),
        (exceptions.AMQPHeartbeatTimeout("No activity"), "heartbeat"),
        (exceptions.ConnectionBlockedTimeout("blocked"), "alarm"),
        (exceptions.IncompatibleProtocolError("…"), "AMQP 0-9-1"),
        (connection_workflow.AMQPConnectorStackTimeout("…"), "timeout"),
        (exceptions.ChannelWrongStateError("Channel is closed."), "ChannelWrongStateError"),
        (exceptions.ProbableAuthenticationError("StreamLostError: …"), "ProbableAuthenticationError"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "EOF"),
    ],
)
def test_what_time_can_mend_is_unavailable(error: Exception, words: str) -> None:
    translation = translated(error, doing="connect")

    assert type(translation) is BrokerUnavailableError
    assert translation.policy is RetryPolicy.BY_ITSELF
    assert words in str(translation)


def test_refused_login_is_read_out_of_pikas_text() -> None:
    error = exceptions.ProbableAuthenticationError(
        "ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using PLAIN.'"
    )

    translation = translated(error, doing="connect")

    assert type(translation) is BrokerPermissionError
    assert "403 ACCESS_REFUSED - Login was refused" in str(translation)


def test_failure_is_found_under_pikas_layers() -> None:
    inner = connection_workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "refused"))
    error = exceptions.AMQPConnectionError(connection_workflow.AMQPConnectionWorkflowFailed([inner]))

    assert str(translated(error, doing="connect")) == "cannot connect: refused"


def test_tls_failure_waits_for_a_person() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")

    translation = translated(error, doing="connect")

    assert type(translation) is BrokerError
    assert "TLS failed" in str(translation)
    assert "ca_file" in translation.hint


def test_our_own_errors_stay_what_they_are() -> None:
    error = PublishError("nack")

    assert translated(error, doing="publish") is error


def test_block_raises_the_translation_from_the_cause() -> None:
    cause = exceptions.StreamLostError("lost")

    with pytest.raises(BrokerUnavailableError) as caught, translating("count"):
        raise cause

    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("version", ["3.7.28", "2.8.7", "unknown"])
def test_broker_without_quorum_queues_is_refused(version: str) -> None:
    session = BrokerSession.__new__(BrokerSession)
    session._impl = type(
        "Implementation", (), {"server_properties": {"product": "RabbitMQ", "version": version}}
    )

    with pytest.raises(BrokerError, match=rf"RabbitMQ {version}; quorum queues need RabbitMQ 3\.8"):
        check_server(session)


def test_connection_lost_before_pika_has_looked_at_it_is_unavailable() -> None:
    """Pika raises ValueError for a socket that was connected and is not any more."""
    with (
        socket.socket() as unconnected,
        pytest.raises(BrokerUnavailableError, match="the connection was lost"),
        translating("connect"),
    ):
        use(unconnected)


def test_error_of_our_own_is_not_taken_for_the_brokers() -> None:
    with pytest.raises(ValueError, match="ours"), translating("connect"):
        raise ValueError("ours")


def use(unconnected: socket.socket) -> None:
    """Hand a socket to pika, as it does itself once the connection is made."""
    io_services_utils._AsyncStreamConnector(
        None, lambda: None, unconnected, None, None, lambda _outcome: None
    )
