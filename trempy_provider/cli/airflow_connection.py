"""A connection as Airflow reads it from an environment variable: a URI, or a JSON object.

See "Storing connections in environment variables" in Airflow's manual.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.parameters import ConnectionParameters

# Extras of Airflow's PostgreSQL connections that say how its own hook works, and nothing about the server.
_HOOK_EXTRAS = frozenset({"cursor", "sqlalchemy_scheme", "sqlalchemy_query", "enable_log_db_messages"})
_FIELDS = ("conn_type", "host", "login", "password", "schema", "port", "extra", "description", "conn_id")


@dataclass(frozen=True, slots=True)
class AirflowConnection:
    """The fields of a connection; messages name its variable, never its text."""

    variable: str
    conn_type: str | None = None
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str, *, variable: str) -> AirflowConnection:
        """Read either form; raise ConfigurationError naming the variable and what is wrong."""
        if text.lstrip().startswith("{"):
            return cls._from_json(text, variable)
        try:
            parts = urlsplit(text)
            return cls._from_uri(parts, variable)
        except ValueError:  # it quotes the text, which holds the password
            raise _wrong(variable, "is not a connection URI") from None

    def postgres(self) -> ConnectionParameters:
        """Return the fields of a PostgreSQL connection; an extra that is not supported is refused."""
        options = {name: value for name, value in self.extra.items() if name not in _HOOK_EXTRAS}
        return ConnectionParameters(
            host=self.host,
            port=self.port,
            dbname=self.schema,
            user=self.login,
            password=self.password,
            options=options,
        )

    def rabbitmq(self) -> RabbitMqParameters:
        """Return the fields of a RabbitMQ connection; an extra that is not supported is refused."""
        extra = dict(self.extra)
        uses_tls = extra.pop("tls", "false").lower() in ("true", "1")
        host = self.host or "localhost"
        authority = f"[{host}]" if ":" in host else quote(host, safe="")
        port = "" if self.port is None else f":{self.port}"
        login = f"{quote(self.login or 'guest', safe='')}:{quote(self.password or 'guest', safe='')}"
        virtual_host = quote(self.schema or "/", safe="")
        scheme = "amqps" if uses_tls else "amqp"
        return RabbitMqParameters.from_uri(
            f"{scheme}://{login}@{authority}{port}/{virtual_host}?{urlencode(extra)}"
        )

    @classmethod
    def _from_json(cls, text: str, variable: str) -> AirflowConnection:
        fields = _json_object(text, variable)
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise _wrong(variable, f"has a field {unknown[0]!r}; allowed: {', '.join(_FIELDS)}")
        extra = fields.get("extra") or {}
        extra = _json_object(extra, variable) if isinstance(extra, str) else extra
        return cls(
            variable,
            conn_type=_text(fields.get("conn_type")),
            host=_text(fields.get("host")),
            port=_port(fields.get("port"), variable),
            login=_text(fields.get("login")),
            password=_text(fields.get("password")),
            schema=_text(fields.get("schema")),
            extra=_texts(extra),
        )

    @classmethod
    def _from_uri(cls, parts: SplitResult, variable: str) -> AirflowConnection:
        extra = dict(parse_qsl(parts.query))
        if "__extra__" in extra:
            extra = _texts(_json_object(extra["__extra__"], variable))
        if not parts.scheme:
            raise ValueError
        return cls(
            variable,
            conn_type=parts.scheme.replace("-", "_"),
            host=_unquoted(parts.hostname),
            port=parts.port,
            login=_unquoted(parts.username),
            password=_unquoted(parts.password),
            schema=_unquoted(parts.path.removeprefix("/")),
            extra=extra,
        )


def _wrong(variable: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"environment variable {variable} {what}", hint="Airflow's manual describes both of its forms."
    )


def _json_object(text: str, variable: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:  # it may quote the password
        raise _wrong(variable, "is not JSON") from None
    if not isinstance(value, dict):
        raise _wrong(variable, f"holds a JSON {type(value).__name__} where an object is expected")
    return value


def _port(value: object, variable: str) -> int | None:
    if value in (None, ""):
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise _wrong(variable, "has a port that is not a number from 1 to 65535")
    return int(text)


def _texts(extra: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in extra.items() if value not in (None, "")}


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None
