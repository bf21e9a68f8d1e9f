"""How to reach a RabbitMQ: one value, read from a connection's fields or from an AMQP URI."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import pika

from trempy_provider.errors import ConfigurationError

Loaded = TypeVar("Loaded")

SCHEMES: Mapping[str, int] = {"amqp": 5672, "amqps": 5671}
TLS_OPTIONS = ("ca_file", "certificate_file", "key_file", "server_name")
# `heartbeat` is the name of the AMQP URI specification's query parameters.
SECONDS_OPTIONS: Mapping[str, str] = {
    "heartbeat": "heartbeat_seconds",
    "heartbeat_seconds": "heartbeat_seconds",
    "connection_timeout_seconds": "connection_timeout_seconds",
}
URI_OPTIONS = (*SECONDS_OPTIONS, *TLS_OPTIONS, "management_url")


@dataclass(frozen=True, slots=True)
class TlsParameters:
    """What to trust and what to show; without files the system's authorities are trusted."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Build the context; the server's certificate and name are always verified."""
        if self.key_file and not self.certificate_file:
            raise ConfigurationError("key_file is given without certificate_file")
        context = _load("ca_file", lambda: ssl.create_default_context(cafile=self.ca_file))
        if certificate_file := self.certificate_file:
            _load(
                "certificate_file or key_file",
                lambda: context.load_cert_chain(certificate_file, self.key_file),
            )
        return context


@dataclass(frozen=True, slots=True)
class RabbitMqParameters:
    """The fields of a RabbitMQ connection; TLS is used where `tls` is given."""

    host: str = "localhost"
    port: int = 5672
    virtual_host: str = "/"
    login: str = "guest"
    password: str = field(default="guest", repr=False)
    tls: TlsParameters | None = None
    heartbeat_seconds: int = 60
    connection_timeout_seconds: float = 15.0
    management_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigurationError("host of the RabbitMQ connection is empty")
        _require_between("port", self.port, lowest=1, highest=65535)
        _require_between("heartbeat_seconds", self.heartbeat_seconds, lowest=0, highest=65535)
        _require_between(
            "connection_timeout_seconds", self.connection_timeout_seconds, lowest=0.001, highest=3600
        )

    @classmethod
    def from_uri(cls, uri: str) -> RabbitMqParameters:
        """Parse `amqp://login:password@host:port/vhost?heartbeat=30`, or `amqps://` for TLS.

        A virtual host of `/` is written `%2F`, or left out.
        Raises ConfigurationError naming the part that is wrong, and never the URI: it holds the password.
        """
        parts = _split(uri)
        options = _read_options(parts.query)
        tls_options = {name: options.pop(name) for name in TLS_OPTIONS if name in options}
        if tls_options and parts.scheme != "amqps":
            raise ConfigurationError(f"{', '.join(tls_options)} in an AMQP URI needs the scheme amqps")
        return cls(
            host=unquote(parts.hostname or "localhost"),
            port=_read_port(parts),
            virtual_host=_read_virtual_host(parts.path),
            login=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            tls=TlsParameters(**tls_options) if parts.scheme == "amqps" else None,
            **options,
        )

    @property
    def description(self) -> str:
        """Name the broker, the virtual host and the user, for messages."""
        return f"{self.host}:{self.port}, virtual host {self.virtual_host!r}, as {self.login!r}"

    def for_pika(
        self, *, client_name: str, blocked_timeout_seconds: float | None
    ) -> pika.ConnectionParameters:
        """Return pika's form; `client_name` is what the management UI shows for the connection."""
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(self.login, self.password),
            ssl_options=self._ssl_options(),
            heartbeat=self.heartbeat_seconds,
            socket_timeout=self.connection_timeout_seconds,
            stack_timeout=self.connection_timeout_seconds,
            blocked_connection_timeout=blocked_timeout_seconds,
            client_properties={"connection_name": client_name},
        )

    def _ssl_options(self) -> pika.SSLOptions | None:
        if self.tls is None:
            return None
        return pika.SSLOptions(self.tls.context(), self.tls.server_name or self.host)


def _split(uri: str) -> SplitResult:
    # urlsplit's own errors quote the URI, hence `from None`.
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ConfigurationError("host of the AMQP URI is malformed") from None
    if parts.scheme not in SCHEMES:
        raise ConfigurationError("scheme of the AMQP URI is neither amqp nor amqps")
    if parts.fragment:
        raise ConfigurationError("password of the AMQP URI (or another part) holds '#'; write it as %23")
    return parts


def _read_port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError(
            "port of the AMQP URI is not a number from 1 to 65535",
            hint="Special characters of a password are percent-encoded: / is %2F, @ is %40, : is %3A.",
        ) from None
    return SCHEMES[parts.scheme] if port is None else port


def _read_virtual_host(path: str) -> str:
    name = path[1:]
    if "/" in name:
        raise ConfigurationError("virtual host of the AMQP URI holds '/'; write it as %2F")
    return unquote(name) or "/"


def _read_options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in URI_OPTIONS:
            raise ConfigurationError(
                f"{name!r} is not an option of an AMQP URI; allowed: {', '.join(URI_OPTIONS)}"
            )
        if name in SECONDS_OPTIONS:
            options[SECONDS_OPTIONS[name]] = _read_seconds(name, text)
        else:
            options[name] = text
    return options


def _read_seconds(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(f"{name} of the AMQP URI is {text!r}; expected whole seconds")
    return int(text)


def _require_between(name: str, observed: float, *, lowest: float, highest: float) -> None:
    if not lowest <= observed <= highest:
        raise ConfigurationError(
            f"{name} of the RabbitMQ connection is {observed}; expected {lowest} to {highest}"
        )


def _load(name: str, load: Callable[[], Loaded]) -> Loaded:
    """Run a loader of the ssl module, whose errors do not tell which file they mean."""
    try:
        return load()
    except OSError as error:
        raise ConfigurationError(
            f"{name} of the RabbitMQ connection cannot be used: {error.strerror or error}"
        ) from error
