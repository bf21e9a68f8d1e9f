"""The demo's shop and its traffic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.demo.databases import DemoDatabase, create_shop, create_source, create_target
from sandbox.demo.shopkeeper import Shopkeeper, TrafficError
from sandbox.demo.traffic import Traffic
from sandbox.demo.transactions import WEIGHTS
from sandbox.postgres import PostgresServer
from sandbox.processes import recorded_servers
from tests.support.databases import Database
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def source(server: PostgresServer) -> DemoDatabase:
    database = create_source(server.superuser_uri())
    create_shop(database.owner_uri)
    return database


@pytest.fixture
def shop(source: DemoDatabase) -> Database:
    return Database(source.owner_uri)


@pytest.fixture
def shopkeeper(source: DemoDatabase, tmp_path: Path) -> Iterator[Shopkeeper]:
    yield Shopkeeper(source.owner_uri, directory=tmp_path)
    for process in recorded_servers(tmp_path):
        process.kill()


def test_shop_has_eight_related_tables_and_half_a_million_rows(shop: Database) -> None:
    tables = shop.fetch_all(
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relispartition"
        " and relnamespace::regnamespace::text in ('sales', 'warehouse')"
    )
    related = "select count(distinct conrelid) + 2 from pg_constraint where contype = 'f' and conparentid = 0"

    row_count = sum(shop.fetch_value(f"select count(*) from {table}") for (table,) in tables)

    assert len(tables) == 11
    assert shop.fetch_value(related) >= 8
    assert row_count >= 500_000


def test_shop_has_many_types_a_partitioned_table_and_tables_without_a_key(shop: Database) -> None:
    types = shop.fetch_value(
        "select count(distinct atttypid) from pg_attribute join pg_class on pg_class.oid = attrelid"
        " where attnum > 0 and relnamespace::regnamespace::text in ('sales', 'warehouse')"
    )
    without_key = shop.fetch_all(
        "select relname from pg_class where relkind = 'r' and relnamespace::regnamespace::text = 'sales'"
        " and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary) order by 1"
    )
    partitions = "select count(distinct tableoid) from sales.orders"

    assert types >= 25
    assert without_key == [("audit_log",), ("page_views",)]
    assert shop.fetch_value(partitions) >= 6


def test_shop_is_created_once(source: DemoDatabase, shop: Database) -> None:
    shop.execute("delete from sales.audit_log where ctid = (select min(ctid) from sales.audit_log)")
    row_count = shop.fetch_value("select count(*) from sales.audit_log")

    create_shop(source.owner_uri)

    assert shop.fetch_value("select count(*) from sales.audit_log") == row_count


def test_databases_that_are_there_are_kept_and_the_roles_get_new_passwords(server: PostgresServer) -> None:
    first = create_target(server.superuser_uri("postgres"))
    Database(first.provider_uri).execute("create schema kept")

    second = create_target(server.superuser_uri("postgres"), provider_password="secret")

    assert Database(second.provider_uri).fetch_value("select to_regnamespace('kept') is not null") is True


def test_roles_of_shop_and_provider_are_no_superusers(server: PostgresServer, source: DemoDatabase) -> None:
    create_target(server.superuser_uri())
    roles = (
        "select rolname, rolsuper, rolreplication from pg_roles where rolname !~ '^(pg_|postgres)' order by 1"
    )

    found = Database(source.superuser_uri).fetch_all(roles)

    assert found == [("shop_owner", False, False), ("trempy", False, True)]


def test_traffic_does_every_kind_of_transaction(source: DemoDatabase, shop: Database) -> None:
    traffic = Traffic(source.owner_uri, rate=2000, connections=3)
    kinds = {kind.__name__.replace("_", " ") for kind in WEIGHTS} | {"rolled back"}

    traffic.start()
    try:
        wait_until(lambda: kinds <= traffic.counts().by_kind.keys(), timeout_seconds=60)
    finally:
        counts = traffic.stop()

    assert counts.error is None
    assert counts.committed + counts.rolled_back == sum(counts.by_kind.values())
    assert counts.changed_rows > counts.committed


def test_traffic_keeps_its_rate(source: DemoDatabase) -> None:
    traffic = Traffic(source.owner_uri, rate=40, connections=2)

    traffic.start()
    try:
        wait_until(lambda: traffic.counts().seconds > 4, timeout_seconds=20)
    finally:
        counts = traffic.stop()

    assert 20 < sum(counts.by_kind.values()) / counts.seconds < 60


def test_traffic_process_reports_what_it_committed(shop: Database, shopkeeper: Shopkeeper) -> None:
    def count_transactions() -> int:
        return int(shop.fetch_value("select count(*) from sales.audit_log"))

    before = count_transactions()

    shopkeeper.open(rate=400, connections=2)
    wait_until(lambda: shopkeeper.counts().by_kind["write audit log"] > 5, timeout_seconds=30)
    counts = shopkeeper.close()

    assert count_transactions() - before == counts.by_kind["write audit log"]


def test_traffic_that_loses_its_database_says_so(
    source: DemoDatabase, shop: Database, tmp_path: Path
) -> None:
    shopkeeper = Shopkeeper(source.owner_uri, directory=tmp_path)
    shopkeeper.open(rate=100, connections=2)

    shop.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop traffic'"
    )
    wait_until(lambda: not shopkeeper.is_open(), timeout_seconds=20)

    with pytest.raises(TrafficError, match=r"by itself: ."):
        shopkeeper.close()
    assert "ended early" in shopkeeper.log_path.read_text()
