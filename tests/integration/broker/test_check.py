"""What is wrong with a connection or a user is said by cause, without a password."""

import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.broker.support import make_message, publish_all
from trempy_provider.broker.parameters import RabbitMqParameters, TlsParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker, check_connection
from trempy_provider.errors import (
    BrokerError,
    BrokerPermissionError,
    BrokerUnavailableError,
    RetryPolicy,
    TopologyError,
)

RabbitMqCtl = Callable[..., str]
SECRET = "p4ss-of-nobody"
OPENSSL = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    "-keyout {name}.key -out {name}.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost"
)
PATTERN = "^(trempy_.*|dlx_queue_.*)$"


@pytest.fixture
def limited(parameters: RabbitMqParameters, rabbitmqctl: RabbitMqCtl) -> Iterator[RabbitMqParameters]:
    """Add a user without any permission."""
    login = f"limited_{secrets.token_hex(4)}"
    rabbitmqctl("add_user", login, SECRET)
    yield replace(parameters, login=login, password=SECRET)
    rabbitmqctl("delete_user", login)


def open_everything(parameters: RabbitMqParameters) -> list[Callable[[], object]]:
    """Return every way to connect: all report the same."""
    broker = RabbitMqBroker(lambda: parameters, task_name="nothing")
    return [lambda: check_connection(parameters), broker.check, broker.open_publisher, broker.open_consumer]


def test_reachable_broker_says_its_name_and_version(parameters: RabbitMqParameters) -> None:
    assert check_connection(parameters).startswith("RabbitMQ ")


def test_check_of_a_declared_task_passes_and_changes_nothing(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(3))
    publisher.close()

    broker.check()

    assert broker.depths().ready == 3
    consumer = broker.open_consumer()
    delivery = consumer.get(timeout_seconds=10)
    assert delivery is not None
    assert delivery.attempt == 1
    consumer.close()


def test_check_of_an_undeclared_task_passes_and_declares_nothing(undeclared_broker: RabbitMqBroker) -> None:
    undeclared_broker.check()

    with pytest.raises(TopologyError):
        undeclared_broker.depths()
    with pytest.raises(TopologyError):
        undeclared_broker.open_publisher()


def test_wrong_password_is_refused_without_being_shown(
    parameters: RabbitMqParameters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for connect in open_everything(replace(parameters, password=SECRET)):
        with pytest.raises(BrokerPermissionError, match="403 ACCESS_REFUSED - Login was refused") as caught:
            connect()
        assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"
    assert SECRET not in caplog.text


def test_unknown_virtual_host_is_named(parameters: RabbitMqParameters) -> None:
    for connect in open_everything(replace(parameters, virtual_host="nowhere")):
        with pytest.raises(BrokerPermissionError, match="530 NOT_ALLOWED - vhost nowhere not found"):
            connect()


def test_virtual_host_closed_to_the_user_is_named(limited: RabbitMqParameters) -> None:
    for connect in open_everything(limited):
        with pytest.raises(BrokerPermissionError, match="530 NOT_ALLOWED - access to vhost '/' refused"):
            connect()


@pytest.mark.parametrize("is_declared", [True, False])
def test_missing_permissions_are_all_listed(
    undeclared_broker: RabbitMqBroker,
    limited: RabbitMqParameters,
    rabbitmqctl: RabbitMqCtl,
    task_name: str,
    is_declared: bool,
) -> None:
    if is_declared:
        undeclared_broker.declare_topology()
    rabbitmqctl("set_permissions", limited.login, "^trempy_.*", "^trempy_exchange.*", "^dlx_.*")

    with pytest.raises(BrokerPermissionError) as caught:
        RabbitMqBroker(lambda: limited, task_name=task_name).check()

    listed = str(caught.value).partition("virtual host '/': ")[2].split(", ")
    assert sorted(listed) == sorted(
        [
            f"configure on queue 'dlx_queue_{task_name}'",
            f"write on exchange 'trempy_dlx_exchange_{task_name}'",
            f"write on queue 'dlx_queue_{task_name}'",
            f"write on queue 'trempy_queue_{task_name}'",
            f"read on queue 'trempy_queue_{task_name}'",
        ]
    )
    assert f"rabbitmqctl set_permissions -p '/' '{limited.login}' '{PATTERN}'" in caught.value.hint


def test_permissions_on_its_own_names_are_enough(
    limited: RabbitMqParameters, rabbitmqctl: RabbitMqCtl, task_name: str
) -> None:
    rabbitmqctl("set_permissions", limited.login, PATTERN, PATTERN, PATTERN)
    broker = RabbitMqBroker(lambda: limited, task_name=task_name)

    broker.check()
    broker.declare_topology()
    broker.check()
    publisher, consumer = broker.open_publisher(), broker.open_consumer()
    publisher.publish(make_message(1))
    delivery = consumer.get(timeout_seconds=10)
    assert delivery is not None
    consumer.ack(delivery)
    broker.add_dead_letter(make_message(2))
    publisher.close()
    consumer.close()
    broker.purge()
    broker.delete_topology()


def test_publisher_without_write_permission_is_refused(
    broker: RabbitMqBroker, limited: RabbitMqParameters, rabbitmqctl: RabbitMqCtl, task_name: str
) -> None:
    rabbitmqctl("set_permissions", limited.login, PATTERN, "^$", PATTERN)
    publisher = RabbitMqBroker(lambda: limited, task_name=task_name).open_publisher()

    publisher.publish(make_message(1))

    with pytest.raises(BrokerPermissionError, match=f"403 ACCESS_REFUSED.*{broker.topology.main.exchange}"):
        publisher.wait_confirmed(timeout_seconds=10)
    publisher.close()


def test_port_nobody_listens_on_is_unavailable(parameters: RabbitMqParameters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free_port = listener.getsockname()[1]

    for connect in open_everything(replace(parameters, host="127.0.0.1", port=free_port)):
        with pytest.raises(BrokerUnavailableError, match=rf"127\.0\.0\.1:{free_port}.*refused") as caught:
            connect()
        assert caught.value.policy is RetryPolicy.BY_ITSELF


def test_unknown_host_is_unavailable(parameters: RabbitMqParameters) -> None:
    for connect in open_everything(replace(parameters, host="no-such-host.invalid")):
        with pytest.raises(BrokerUnavailableError, match=r"no-such-host\.invalid"):
            connect()


def test_server_that_never_answers_is_unavailable_after_the_timeout(parameters: RabbitMqParameters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        quiet = replace(parameters, host="127.0.0.1", port=port, connection_timeout_seconds=0.3)
        for connect in open_everything(quiet):
            with pytest.raises(BrokerUnavailableError, match="no answer within"):
                connect()


def test_server_that_speaks_something_else_is_unavailable(parameters: RabbitMqParameters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(100)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(BrokerUnavailableError, match="before it spoke AMQP"):
            check_connection(replace(parameters, host="127.0.0.1", port=listener.getsockname()[1]))
        thread.join(5)


def test_failed_openings_leave_no_thread(parameters: RabbitMqParameters) -> None:
    broker = RabbitMqBroker(lambda: replace(parameters, password=SECRET), task_name="nothing")

    for connect in (broker.open_publisher, broker.open_consumer):
        with pytest.raises(BrokerPermissionError):
            connect()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("trempy/")]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for `localhost`, signed by itself, and another authority."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("server", "other"):
        subprocess.run(
            OPENSSL.format(name=name).split(),
            cwd=directory,
            capture_output=True,
            check=True,
        )
    for path in directory.iterdir():
        path.chmod(0o644)
    return directory


@pytest.fixture
def tls_parameters(
    parameters: RabbitMqParameters, certificates: Path, rabbitmqctl: RabbitMqCtl
) -> Iterator[RabbitMqParameters]:
    """Open a port with TLS on the same broker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    files = f'[{{certfile, "{certificates}/server.pem"}}, {{keyfile, "{certificates}/server.key"}}]'
    rabbitmqctl("eval", f"rabbit_networking:start_ssl_listener({port}, {files}, 1).")
    tls = TlsParameters(ca_file=str(certificates / "server.pem"), server_name="localhost")
    yield replace(parameters, host="127.0.0.1", port=port, tls=tls)
    rabbitmqctl("eval", f"rabbit_networking:stop_ranch_listener_of_protocol('amqp/ssl'), {port}.")


def test_tls_verifies_the_broker(
    tls_parameters: RabbitMqParameters, certificates: Path, task_name: str
) -> None:
    broker = RabbitMqBroker(lambda: tls_parameters, task_name=task_name)
    other = replace(
        tls_parameters, tls=TlsParameters(str(certificates / "other.pem"), server_name="localhost")
    )
    elsewhere = replace(
        tls_parameters, tls=TlsParameters(str(certificates / "server.pem"), server_name="elsewhere")
    )

    broker.declare_topology()
    publisher, consumer = broker.open_publisher(), broker.open_consumer()
    publisher.publish(make_message(1, size_bytes=1_000_000))
    delivery = consumer.get(timeout_seconds=10)
    assert delivery is not None
    consumer.ack(delivery)
    publisher.close()
    consumer.close()
    broker.delete_topology()

    for untrusted in (other, elsewhere):
        for connect in open_everything(untrusted):
            with pytest.raises(BrokerError, match="TLS failed") as caught:
                connect()
            assert caught.value.policy is RetryPolicy.AFTER_FIX


def test_tls_to_a_port_without_it_waits_for_a_person(parameters: RabbitMqParameters) -> None:
    for connect in open_everything(replace(parameters, tls=TlsParameters())):
        with pytest.raises(BrokerError, match="TLS failed") as caught:
            connect()
        assert caught.value.policy is RetryPolicy.AFTER_FIX
