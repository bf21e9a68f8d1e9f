"""PostgreSQL connections: the fields through Airflow's own hook, the sessions our own.

Connections of the type `postgres` work for source and target.
The types `trempy_source` and `trempy_target` are for those who want "Test connection" to look at what a
replication task needs of the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow.providers.postgres.hooks.postgres import PostgresHook

from trempy_provider.errors import TrempyError
from trempy_provider.hooks.connections import find_connection, read_extras
from trempy_provider.postgres.findings import Finding, Severity
from trempy_provider.postgres.parameters import ALLOWED_OPTIONS, ConnectionParameters
from trempy_provider.postgres.preflight_server import (
    SlotNeeds,
    check_metadata_rights,
    check_replication,
    check_version,
    read_server_facts,
)
from trempy_provider.postgres.session import Endpoint, Session

CONNECTION_TEST = "connection_test"
# Airflow's own extras: they say how its hook connects, or ask for a token, which its hook fetches for us.
HOOK_EXTRAS = frozenset(PostgresHook.ignored_extra_options)


class TrempySourceHook(PostgresHook):
    """Read an Airflow connection to a source; its test looks at wal_level, rights, slots and walsenders."""

    conn_type = "trempy_source"
    hook_name = "PostgreSQL source (TREMpy)"
    default_conn_name = "trempy_source"

    def test_connection(self) -> tuple[bool, str]:  # type: ignore[override]  # its parent has no types
        """Log in and list what keeps the server from being a source, with the remedies."""
        return _test(self.get_conn_id(), role="source")


class TrempyTargetHook(PostgresHook):
    """Read an Airflow connection to a target; its test looks at the rights the metadata need."""

    conn_type = "trempy_target"
    hook_name = "PostgreSQL target (TREMpy)"
    default_conn_name = "trempy_target"

    def test_connection(self) -> tuple[bool, str]:  # type: ignore[override]  # its parent has no types
        """Log in and list what keeps the server from being a target, with the remedies."""
        return _test(self.get_conn_id(), role="target")


def read_parameters(conn_id: str) -> ConnectionParameters:
    """Return the connection's fields as they are now; raise ConfigurationError naming a wrong one.

    Extras are libpq's options for TLS, timeouts and keepalives; any other is refused.
    """
    connection = find_connection(conn_id)
    extras = read_extras(connection, allowed=ALLOWED_OPTIONS, ignored=HOOK_EXTRAS)
    user, password, port = connection.login, connection.password, connection.port
    if connection.extra_dejson.get("iam"):
        user, password, port = PostgresHook(postgres_conn_id=conn_id).get_iam_token(connection)
    return ConnectionParameters(
        host=connection.host or None,
        port=port,
        dbname=connection.schema or None,
        user=user or None,
        password=password or None,
        options={name: str(value) for name, value in extras.items()},
    )


def open_endpoint(conn_id: str, *, task_name: str, role: str, metadata: Endpoint | None = None) -> Endpoint:
    """Return the database behind a connection; its fields are read anew for each session."""
    return Endpoint(
        lambda: read_parameters(conn_id),
        task_name=task_name,
        role=role,
        read_salt=_read_password,
        metadata=metadata,
    )


def open_target(conn_id: str, *, metadata_conn_id: str, task_name: str) -> Endpoint:
    """Return the target behind a connection, which knows where the task's metadata is."""
    metadata = None
    if metadata_conn_id != conn_id:
        metadata = open_endpoint(metadata_conn_id, task_name=task_name, role="metadata")
    return open_endpoint(conn_id, task_name=task_name, role="target", metadata=metadata)


def _read_password(conn_id: str) -> str | None:
    return find_connection(conn_id).password


def _test(conn_id: str, *, role: str) -> tuple[bool, str]:
    endpoint = open_endpoint(conn_id, task_name=CONNECTION_TEST, role=role)
    try:
        with endpoint.connect("test") as session:
            findings = list(_find_source(session) if role == "source" else _find_target(session))
            words = [f"{finding.what} → {finding.remedy}" for finding in findings]
            fits = all(finding.severity is not Severity.ERROR for finding in findings)
            return fits, "\n".join([*words, _praise(session, role)] if fits else words)
    except TrempyError as error:
        return False, error.explanation


def _find_source(session: Session) -> Iterator[Finding]:
    facts = read_server_facts(session)
    yield from check_version(facts, "source")
    yield from check_replication(facts, "source", SlotNeeds(slots=1, walsenders=1))


def _find_target(session: Session) -> Iterator[Finding]:
    facts = read_server_facts(session)
    yield from check_version(facts, "target")
    yield from check_metadata_rights(session, facts, "target")


def _praise(session: Session, role: str) -> str:
    version = session.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000} at {session.parameters.where} can be a {role}."
