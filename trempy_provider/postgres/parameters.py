"""Where a PostgreSQL server is and how to log in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from trempy_provider.errors import ConfigurationError

ALLOWED_OPTIONS = frozenset(
    {
        "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslcompression",
        "ssl_min_protocol_version", "channel_binding", "require_auth", "gssencmode", "krbsrvname",
        "target_session_attrs", "connect_timeout", "hostaddr", "passfile", "service",
        "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    }
)  # fmt: skip
DEFAULT_OPTIONS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # Keepalives do not count while something sent is not acknowledged; without this, that takes 15 minutes.
    "tcp_user_timeout": "60000",
}
_IGNORED_OPTIONS = frozenset({"application_name", "fallback_application_name", "client_encoding", "options"})


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """The fields of a connection; the password never shows in a representation."""

    host: str | None = None
    port: int | None = None
    dbname: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.options) - ALLOWED_OPTIONS)
        if unknown:
            raise ConfigurationError(
                f"connection option {unknown[0]!r} is not supported",
                hint=f"Allowed options: {', '.join(sorted(ALLOWED_OPTIONS))}.",
            )

    @classmethod
    def from_uri(cls, uri: str) -> ConnectionParameters:
        """Read a libpq URI or keyword string; raise ConfigurationError without repeating it.

        See "Connection Strings" in PostgreSQL's manual (34.1.1).
        """
        try:
            fields = parse_dsn(uri)
        except psycopg2.ProgrammingError as error:
            raise ConfigurationError(
                "the connection string is not a PostgreSQL URI",
                hint="Expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…",
            ) from error
        return cls(
            host=fields.pop("host", None),
            port=_port(fields.pop("port", None)),
            dbname=fields.pop("dbname", None),
            user=fields.pop("user", None),
            password=fields.pop("password", None),
            options={key: value for key, value in fields.items() if key not in _IGNORED_OPTIONS},
        )

    def dsn(self, **extra: str) -> str:
        """Return a libpq keyword string; `extra` adds parameters such as `replication`."""
        known = {
            "host": self.host,
            "port": None if self.port is None else str(self.port),
            "dbname": self.dbname,
            "user": self.user,
            "password": self.password,
        }
        given = {key: value for key, value in known.items() if value is not None}
        return make_dsn(**{**DEFAULT_OPTIONS, **self.options, **given, **extra})

    @property
    def where(self) -> str:
        """Name the server and database, for messages."""
        return f"{self.host or 'local socket'}:{self.port or 5432}/{self.dbname or ''}"


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigurationError(f"port {text!r} is not a number between 1 and 65535")
    return int(text)
