"""The databases that tests get: least privileges, and nothing left behind."""

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from tests.support.databases import Database, DatabasePair, connect, database_pair
from tests.support.servers import DatabaseServer


def test_provider_role_may_publish_and_read_the_owners_tables(databases: DatabasePair) -> None:
    databases.source_admin.execute(
        "create table customer (id bigint primary key); insert into customer values (1)"
    )

    databases.source.execute("create publication everything for table customer")

    assert databases.source.fetch_all("select id from customer") == [(1,)]


def test_provider_role_may_open_a_replication_connection(databases: DatabasePair) -> None:
    with connect(databases.source_uri, connection_factory=LogicalReplicationConnection) as connection:
        connection.cursor().create_replication_slot("reads_everything", output_plugin="pgoutput")

    slots = databases.source.fetch_all(
        "select slot_name from pg_replication_slots where database = current_database()"
    )
    assert slots == [("reads_everything",)]


def test_no_role_is_a_superuser(databases: DatabasePair) -> None:
    roles = (databases.source, databases.source_admin, databases.target, databases.target_admin)

    assert [role.fetch_value("select current_setting('is_superuser')") for role in roles] == ["off"] * 4


def test_tables_the_targets_admin_creates_belong_to_the_provider(databases: DatabasePair) -> None:
    databases.target_admin.execute("create table customer (id bigint primary key)")

    databases.target.execute(
        "create index on customer (id); analyze customer; truncate customer; drop table customer"
    )


def test_replica_role_is_refused_until_it_is_allowed(databases: DatabasePair) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        databases.target.execute("set session_replication_role = replica")

    databases.allow_replica_role()

    databases.target.execute("set session_replication_role = replica")


@pytest.mark.pg(15, 16, 18, "15-18")
def test_databases_and_roles_are_gone_afterwards(
    source_server: DatabaseServer, target_server: DatabaseServer
) -> None:
    with database_pair(source_server, target_server) as pair:
        pair.allow_replica_role()
        pair.target.execute("create schema trempy create table checkpoint (task_name text)")
        pair.source.execute("select pg_create_logical_replication_slot('stays', 'pgoutput')")
        reader = psycopg2.connect(pair.source_uri)

    left = "select datname from pg_database union select rolname from pg_roles"
    names = {name for (name,) in Database(source_server.superuser_uri()).fetch_all(left)}
    assert not names & {pair.source.name, pair.source.role, pair.source_admin.role}
    with pytest.raises(psycopg2.OperationalError):
        reader.cursor().execute("select 1")
    reader.close()
