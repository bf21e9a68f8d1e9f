"""Fresh databases for one test, with the least privileges the provider's documentation asks for.

Source: `owner` owns the database and its tables; `trempy` has REPLICATION, CREATE on the database (for the
publication) and is a member of `owner`, because CREATE PUBLICATION ... FOR TABLE is for owners.
Target: `trempy` may connect and create; what it creates is its own.
Metadata database: `trempy` may connect and create, no more.
None is a superuser.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extras import LogicalReplicationConnection

from tests.support.servers import DatabaseServer
from tests.support.wait import wait_until

Parameters = Sequence[Any] | Mapping[str, Any] | None
Query = str | sql.Composable

_OTHER_DEFAULTS = {
    "timezone": "Asia/Tokyo",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "search_path": "pg_catalog",
}


@dataclass(frozen=True, slots=True)
class Database:
    """One database as one role sees it; every call is a connection of its own, in autocommit."""

    uri: str

    def execute(self, query: Query, parameters: Parameters = None) -> int:
        """Run one or more statements; return the row count of the last."""
        with connect(self.uri) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return int(cursor.rowcount)

    def fetch_all(self, query: Query, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Return all rows."""
        with connect(self.uri) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())

    def fetch_value(self, query: Query, parameters: Parameters = None) -> Any:
        """Return the first column of the first row."""
        return self.fetch_all(query, parameters)[0][0]

    @property
    def name(self) -> str:
        """Return the database's name."""
        return urlsplit(self.uri).path.removeprefix("/")

    @property
    def role(self) -> str:
        """Return the role that connects."""
        return urlsplit(self.uri).username or ""


@dataclass(frozen=True, slots=True)
class DatabasePair:
    """A source and a target, each seen by the provider's role, by the owner and by the superuser."""

    source: Database
    source_admin: Database
    source_superuser: Database
    target: Database
    target_admin: Database
    target_superuser: Database

    @property
    def source_uri(self) -> str:
        """The provider's least-privilege role on the source."""
        return self.source.uri

    @property
    def target_uri(self) -> str:
        """The provider's least-privilege role on the target."""
        return self.target.uri

    @property
    def source_admin_uri(self) -> str:
        """The owner of the source's database and tables; no superuser."""
        return self.source_admin.uri

    @property
    def target_admin_uri(self) -> str:
        """The owner of the target's database; what it creates belongs to the provider's role."""
        return self.target_admin.uri

    def give_roles_other_defaults(self) -> None:
        """Let sessions of the provider's roles begin with settings that write values in other ways."""
        for server, database in ((self.source_superuser, self.source), (self.target_superuser, self.target)):
            for setting, value in _OTHER_DEFAULTS.items():
                server.execute(
                    sql.SQL("alter role {role} in database {name} set {setting} = {value}").format(
                        role=sql.Identifier(database.role),
                        name=sql.Identifier(database.name),
                        setting=sql.Identifier(setting),
                        value=sql.Literal(value),
                    )
                )

    def allow_replica_role(self) -> None:
        """Let the target's role set session_replication_role."""
        grant = sql.SQL("grant set on parameter session_replication_role to {}")
        self.target_superuser.execute(grant.format(sql.Identifier(self.target.role)))


@contextmanager
def connect(uri: str, **options: Any) -> Iterator[Any]:
    """Open a psycopg2 connection in autocommit and close it at the end."""
    connection = psycopg2.connect(uri, **options)
    if not isinstance(connection, LogicalReplicationConnection):  # hidden there, and always on
        connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def database_pair(
    source_server: DatabaseServer,
    target_server: DatabaseServer,
    *,
    source_encoding: str = "UTF8",
    target_encoding: str = "UTF8",
) -> Iterator[DatabasePair]:
    """Create a source and a target database with their roles, and drop everything at the end."""
    with (
        _source_database(source_server, source_encoding) as source,
        _target_database(target_server, target_encoding) as target,
    ):
        yield DatabasePair(*source, *target)


@contextmanager
def metadata_database(server: DatabaseServer) -> Iterator[Database]:
    """Create a metadata database, seen by the provider's role, and drop it at the end."""
    with _database(server, "metadata", "UTF8") as (provider, owner, superuser):
        superuser.execute(
            sql.SQL("grant connect, create on database {database} to {provider}").format(
                **_names(provider, owner)
            )
        )
        yield provider


@contextmanager
def _source_database(server: DatabaseServer, encoding: str) -> Iterator[tuple[Database, Database, Database]]:
    with _database(server, "source", encoding) as (provider, owner, superuser):
        superuser.execute(
            sql.SQL(
                "alter role {provider} replication; grant {owner} to {provider};"
                "grant connect, create on database {database} to {provider};"
            ).format(**_names(provider, owner))
        )
        yield provider, owner, superuser


@contextmanager
def _target_database(server: DatabaseServer, encoding: str) -> Iterator[tuple[Database, Database, Database]]:
    with _database(server, "target", encoding) as (provider, owner, superuser):
        superuser.execute(
            sql.SQL(
                "grant connect, create, temporary on database {database} to {provider};"
                "grant usage, create on schema public to {provider};"
                "grant {provider} to {owner};"
                "alter role {owner} in database {database} set role to {provider};"
            ).format(**_names(provider, owner))
        )
        yield provider, owner, superuser


@contextmanager
def _database(
    server: DatabaseServer, side: str, encoding: str
) -> Iterator[tuple[Database, Database, Database]]:
    """Create a database with an owner and the provider's role, and drop the three at the end."""
    suffix, password = secrets.token_hex(4), secrets.token_hex(8)
    name, provider, owner = f"{side}_{suffix}", f"trempy_{side}_{suffix}", f"owner_{side}_{suffix}"
    maintenance = Database(server.superuser_uri())
    for role in (provider, owner):
        maintenance.execute(
            sql.SQL("create role {} login password %s").format(sql.Identifier(role)), [password]
        )
    options = "" if encoding == "UTF8" else f" template template0 locale 'C' encoding '{encoding}'"
    maintenance.execute(
        sql.SQL("create database {} owner {}{}").format(
            sql.Identifier(name), sql.Identifier(owner), sql.SQL(options)
        )
    )
    maintenance.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
    try:
        yield (
            Database(server.uri(name, user=provider, password=password)),
            Database(server.uri(name, user=owner, password=password)),
            Database(server.superuser_uri(name)),
        )
    finally:
        drop_database(maintenance, name)
        for role in (provider, owner):
            maintenance.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))


def drop_database(maintenance: Database, name: str) -> None:
    """Close the readers, drop the slots, then drop the database with whoever is still connected."""
    wait_until(lambda: _drop_slots(maintenance, name), timeout_seconds=20, what=f"the slots of {name} to go")
    maintenance.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _drop_slots(maintenance: Database, name: str) -> bool:
    """Disconnect the slots' readers and drop the slots nobody reads; return True when none is left."""
    maintenance.execute(
        "select pg_terminate_backend(active_pid) from pg_replication_slots"
        " where database = %(name)s and active_pid is not null",
        {"name": name},
    )
    maintenance.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
        " where database = %(name)s and active_pid is null and not temporary",
        {"name": name},
    )
    remaining = "select count(*) from pg_replication_slots where database = %(name)s"
    return maintenance.fetch_value(remaining, {"name": name}) == 0


def _names(provider: Database, owner: Database) -> dict[str, sql.Identifier]:
    return {
        "provider": sql.Identifier(provider.role),
        "owner": sql.Identifier(owner.role),
        "database": sql.Identifier(provider.name),
    }
