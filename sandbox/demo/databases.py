"""The demo's two databases and their roles; the provider's role on either side is no superuser.

Source: `shop_owner` owns the shop and is who the shop's traffic logs in as.
`trempy` may replicate, may create publications, and is a member of `shop_owner`, because only the owner of a
table may publish it.
Target: `trempy` may connect, create, and use temporary tables; what it creates is its own.
It may also set session_replication_role, so that nothing on the target interferes with the changes.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

SOURCE_DATABASE = "shop"
TARGET_DATABASE = "shop_copy"
SCRIPTS = ("1_tables.sql", "2_rows.sql", "3_keys.sql")
OWNER_ROLE = "shop_owner"
PROVIDER_ROLE = "trempy"

PROVIDER_ON_SOURCE = """
alter role trempy replication;
grant shop_owner to trempy;
revoke all on database shop from public;
grant connect, create on database shop to trempy;
"""
PROVIDER_ON_TARGET = """
revoke all on database shop_copy from public;
grant connect, create, temporary on database shop_copy to trempy;
grant set on parameter session_replication_role to trempy;
"""


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """One side of the replication, as its superuser, the provider and the owner of its tables see it."""

    superuser_uri: str
    provider_uri: str
    owner_uri: str


def create_source(superuser_uri: str, *, provider_password: str | None = None) -> DemoDatabase:
    """Create the roles and the empty database `shop`, each unless it is there; set the roles' passwords."""
    owner_uri = _create_role(superuser_uri, OWNER_ROLE, dbname=SOURCE_DATABASE)
    provider_uri = _create_role(
        superuser_uri, PROVIDER_ROLE, dbname=SOURCE_DATABASE, password=provider_password
    )
    _create_database(superuser_uri, SOURCE_DATABASE, owner=OWNER_ROLE)
    execute(superuser_uri, PROVIDER_ON_SOURCE)
    return DemoDatabase(with_database(superuser_uri, SOURCE_DATABASE), provider_uri, owner_uri)


def create_target(superuser_uri: str, *, provider_password: str | None = None) -> DemoDatabase:
    """Create the role and the empty database `shop_copy`, each unless it is there; set its password."""
    provider_uri = _create_role(
        superuser_uri, PROVIDER_ROLE, dbname=TARGET_DATABASE, password=provider_password
    )
    _create_database(superuser_uri, TARGET_DATABASE, owner=urlsplit(superuser_uri).username or "postgres")
    execute(superuser_uri, PROVIDER_ON_TARGET)
    return DemoDatabase(with_database(superuser_uri, TARGET_DATABASE), provider_uri, provider_uri)


def create_shop(owner_uri: str) -> None:
    """Create the shop's tables and rows in one transaction, unless they are there."""
    with session(owner_uri) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('sales.orders')")
        if cursor.fetchone() != (None,):
            return
        cursor.execute("set synchronous_commit = off")
        for name in SCRIPTS:
            cursor.execute(files("sandbox.demo").joinpath("shop", name).read_text(encoding="utf-8"))


@contextmanager
def session(uri: str) -> Iterator[Any]:
    """Open a psycopg2 connection and close it at the end."""
    connection = psycopg2.connect(uri)
    try:
        yield connection
    finally:
        connection.close()


def with_database(uri: str, dbname: str) -> str:
    """Return `uri` with another database."""
    return urlunsplit(urlsplit(uri)._replace(path=f"/{dbname}"))


def execute(uri: str, statements: str | sql.Composable) -> None:
    """Run statements outside a transaction block where there is one only, as `create database` asks for."""
    with session(uri) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statements)


def exists(uri: str, query: str, *parameters: object) -> bool:
    """Tell whether a query returns a row."""
    with session(uri) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone() is not None


def _create_role(superuser_uri: str, role: str, *, dbname: str, password: str | None = None) -> str:
    """Return the URI of `dbname` for a role that can log in and nothing else yet."""
    password = password or secrets.token_hex(12)
    verb = "alter" if exists(superuser_uri, "select from pg_roles where rolname = %s", role) else "create"
    execute(
        superuser_uri,
        sql.SQL("{} role {} login password {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.Literal(password)
        ),
    )
    parts = urlsplit(superuser_uri)
    address = f"{quote(role)}:{quote(password)}@{parts.hostname}:{parts.port or 5432}"
    return urlunsplit(("postgresql", address, f"/{dbname}", "", ""))


def _create_database(superuser_uri: str, dbname: str, *, owner: str) -> None:
    if not exists(superuser_uri, "select from pg_database where datname = %s", dbname):
        execute(
            superuser_uri,
            sql.SQL("create database {} owner {} encoding 'UTF8' template template0").format(
                sql.Identifier(dbname), sql.Identifier(owner)
            ),
        )
