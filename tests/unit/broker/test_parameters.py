"""Reading an AMQP URI."""

import ssl
from pathlib import Path

import pytest

from trempy_provider.broker.parameters import RabbitMqParameters, TlsParameters
from trempy_provider.errors import ConfigurationError

SECRET = "p4ss-of-nobody"


def test_uri_gives_every_field() -> None:
    uri = (
        "amqp://capture:s%40cret%2F@mq.example:5673/sales%2Feu"
        "?heartbeat=30&connection_timeout_seconds=7&management_url=https://mq.example:15671"
    )

    parameters = RabbitMqParameters.from_uri(uri)

    assert parameters == RabbitMqParameters(
        host="mq.example",
        port=5673,
        virtual_host="sales/eu",
        login="capture",
        password="s@cret/",
        heartbeat_seconds=30,
        connection_timeout_seconds=7,
        management_url="https://mq.example:15671",
    )


@pytest.mark.parametrize("uri", ["amqp://", "amqp://localhost", "amqp://localhost/", "amqp://localhost/%2F"])
def test_what_a_uri_leaves_out_has_the_protocols_defaults(uri: str) -> None:
    assert RabbitMqParameters.from_uri(uri) == RabbitMqParameters()


def test_amqps_means_tls_and_its_own_port() -> None:
    uri = "amqps://mq.example/?ca_file=/ca.pem&certificate_file=/c.pem&key_file=/k.pem&server_name=mq"

    parameters = RabbitMqParameters.from_uri(uri)

    assert parameters.port == 5671
    assert parameters.tls == TlsParameters("/ca.pem", "/c.pem", "/k.pem", "mq")


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        (f"http://u:{SECRET}@host", "scheme"),
        (f"u:{SECRET}@host", "scheme"),
        (f"amqp://u:{SECRET}@[host", "host"),
        (f"amqp://u:{SECRET}@host:many", "port"),
        (f"amqp://u:{SECRET}@host:99999", "port"),
        (f"amqp://u:{SECRET}/x@host", "port"),
        (f"amqp://u:{SECRET}#x@host", "port|password"),
        (f"amqp://u:{SECRET}@host:0", "port"),
        (f"amqp://u:{SECRET}@host/a/b", "virtual host"),
        (f"amqp://u:{SECRET}@host/?heartbeat=soon", "heartbeat"),
        (f"amqp://u:{SECRET}@host/?heartbeat=-1", "heartbeat"),
        (f"amqp://u:{SECRET}@host/?heartbeat=70000", "heartbeat"),
        (f"amqp://u:{SECRET}@host/?connection_timeout_seconds=0", "connection_timeout_seconds"),
        (f"amqp://u:{SECRET}@host/?verify=none", "verify"),
        (f"amqp://u:{SECRET}@host/?ca_file=/ca.pem", "ca_file"),
    ],
)
def test_bad_uri_is_refused_by_the_name_of_its_part_without_its_password(uri: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as refusal:
        RabbitMqParameters.from_uri(uri)

    assert SECRET not in f"{refusal.value} {refusal.value.hint}"
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_password_is_not_shown() -> None:
    parameters = RabbitMqParameters.from_uri(f"amqp://u:{SECRET}@host?management_url=http://u:{SECRET}@host")

    assert SECRET not in repr(parameters)
    assert SECRET not in parameters.description


@pytest.mark.parametrize(
    ("tls", "named"),
    [
        (TlsParameters(ca_file="/no/such/ca.pem"), "ca_file"),
        (TlsParameters(certificate_file="/no/such/certificate.pem"), "certificate_file"),
        (TlsParameters(key_file="/no/such/key.pem"), "key_file"),
    ],
)
def test_tls_file_that_cannot_be_read_is_named(tls: TlsParameters, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        tls.context()


def test_tls_file_with_something_else_in_it_is_named(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("not a certificate")

    with pytest.raises(ConfigurationError, match="ca_file"):
        TlsParameters(ca_file=str(ca_file)).context()


def test_tls_verifies_certificate_and_name() -> None:
    context = TlsParameters().context()

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
