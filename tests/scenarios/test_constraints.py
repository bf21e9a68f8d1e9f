"""Values that a constraint guards are handed from row to row: compaction never shows a constraint a wrong order.

The target has the source's constraints; the source has checked every step, some only at a statement's end or at
the commit.
"""

from __future__ import annotations

import random

import pytest

from tests.scenarios.test_hand_over import writing
from trempy_provider.postgres.tables import QualifiedName

TABLES = """
create table public.plain (id int primary key, u int unique, v int);
create table public.nulls (id int primary key, u int, v int, unique nulls not distinct (u));
create table public.partial (id int primary key, u int, v int);
create unique index partial_u on public.partial (u) where v >= 0;
create table public.at_once (id int primary key, u int, v int, unique (u) deferrable initially immediate);
create table public.later (id int primary key, u int, v int, unique (u) deferrable initially deferred);
create table public.ranges (id int primary key, u int, v int, during int4range,
    exclude using gist (during with &&) deferrable initially immediate);
create table public.ranges_now (id int primary key, u int, v int, during int4range,
    exclude using gist (during with &&));
create table public.parents (id int primary key, v int);
create table public.children (id int primary key, v int,
    parent int not null references public.parents deferrable initially deferred);
"""
GUARDED = ("plain", "nulls", "partial", "at_once", "later")
NAMES = (*GUARDED, "ranges", "ranges_now", "parents", "children")
COUNT = 40
ROWS = f"""
{";".join(f"insert into public.{name} select g, g, 0 from generate_series(1, {COUNT}) g" for name in GUARDED)};
insert into public.ranges select g, g, 0, int4range(g * 10, g * 10 + 10) from generate_series(1, {COUNT}) g;
insert into public.ranges_now select g, g, 0, int4range(g * 10, g * 10 + 10) from generate_series(1, {COUNT}) g;
insert into public.parents select g, 0 from generate_series(1, {COUNT}) g;
insert into public.children select g, 0, g from generate_series(1, {COUNT}) g;
"""


def transactions(seed: int, count: int) -> list[str]:
    """Return transactions that hand unique values on, each valid on the source."""
    choose, next_id, statements = random.Random(seed), COUNT, []
    for _ in range(count):
        next_id += 1
        a, b = choose.sample(range(1, COUNT + 1), 2)
        handed_on = [
            # by way of another value
            *(
                f"update public.{name} set u = -1 where u = {a}; update public.{name} set u = {a} where u = {b};"
                f"update public.{name} set u = {b} where u = -1"
                for name in ("plain", "nulls", "partial")
            ),
            # by way of NULL, and of rows outside a partial index
            (
                f"update public.nulls set u = null where u = {a}; update public.nulls set u = {a} where u = {b};"
                f"update public.nulls set u = {b} where u is null"
            ),
            (
                f"update public.partial set v = -1 where u = {a};"
                f"update public.partial set u = {a}, v = v + 1 where u = {b};"
                f"update public.partial set u = {b}, v = 0 where v = -1"
            ),
            # from a row that goes to one that comes
            *(
                f"delete from public.{name} where u = {a}; insert into public.{name} values ({next_id}, {a}, 1)"
                for name in GUARDED
            ),
            # within one statement, or until the commit
            *(
                f"update public.{name} set u = {a} + {b} - u where u in ({a}, {b})"
                for name in ("at_once", "later")
            ),
            (
                f"update public.later set u = {b} where u = {a}; update public.later set u = {a}, v = v + 1"
                f" where ctid = (select ctid from public.later where u = {b} limit 1)"
            ),
            (
                f"update public.ranges set during = int4range(({a} + {b}) * 10 - lower(during),"
                f" ({a} + {b}) * 10 - lower(during) + 10) where lower(during) in ({a} * 10, {b} * 10)"
            ),
            (
                f"update public.ranges_now set during = 'empty' where lower(during) = {a} * 10;"
                f"update public.ranges_now set during = int4range({a} * 10, {a} * 10 + 10)"
                f" where lower(during) = {b} * 10;"
                f"update public.ranges_now set during = int4range({b} * 10, {b} * 10 + 10) where isempty(during)"
            ),
            # children before their parents
            (
                f"insert into public.children values ({next_id}, 1, {next_id});"
                f"insert into public.parents values ({next_id}, 1); delete from public.parents where id = {a};"
                f"update public.children set parent = {b} where parent = {a};"
                f"insert into public.parents values ({a}, 2)"
            ),
        ]
        statements.append(f"begin; {'; '.join(choose.sample(handed_on, 6))}; commit")
    return statements


@pytest.mark.parametrize(
    ("mode", "silent"), [("default", False), ("default", True), ("upsert", False), ("upsert", True)]
)
def test_guarded_values_are_handed_from_row_to_row(databases, replicate, mode, silent):
    databases.source_admin.execute(TABLES)
    databases.target_admin.execute(TABLES)
    if silent:
        databases.allow_replica_role()
    databases.source_admin.execute(ROWS)
    replication = replicate(*(f"public.{name}" for name in NAMES), task={"cdc_settings": {"mode": mode}})
    replication.setup()
    for name in ("parents", *(name for name in NAMES if name != "parents")):
        replication.load(tables=[f"public.{name}"])

    for number, statement in enumerate(transactions(seed=7, count=60)):
        databases.source_admin.execute(statement)
        if number % 20 == 9:  # a few, then many in one batch
            replication.catch_up()
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_guarded_values_move_while_tables_that_the_task_creates_are_loaded(databases, replicate):
    databases.source_admin.execute(TABLES)
    databases.source_admin.execute(ROWS)
    replication = replicate(*(f"public.{name}" for name in GUARDED))
    replication.setup()
    swaps = "; ".join(
        f"update public.{name} set u = 2 * (({COUNT} + 1) / 2) + 1 - u where u between 20 and 21"
        for name in ("at_once", "later")
    )

    with writing(databases, swaps), replication.running():
        replication.load()
        replication.load(reload=True)
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


GUARDS = {
    "of some rows": "create unique index on public.handed (u) where is_active",
    "on an expression": "create unique index on public.handed ((u + 0))",
    "of another operator class": "create unique index on public.handed (w text_pattern_ops)",
    "exclusion": "alter table public.handed add exclude using gist (int4range(u, u + 1) with &&)",
    "of a partition": "create unique index on public.handed_1 (u)",
}
HAND_ON = """
do $$ begin
    for i in 1..100 loop
        update public.handed set u = u + 100000, w = 'moved ' || w where id = 2 * i;
        update public.handed set u = 2 * i, w = 'w ' || 2 * i where id = 2 * i - 1;
    end loop;
end $$
"""


@pytest.mark.parametrize("guard", GUARDS)
def test_rows_are_written_as_arrays_in_the_sources_order_under_any_unique_index(databases, replicate, guard):
    """In the order of the key a row would take a value before another has given it away."""
    parts = "create table public.handed_1 partition of public.handed for values from (0) to (1000)"
    is_partitioned = guard == "of a partition"
    for side in (databases.source_admin, databases.target_admin):
        side.execute(
            "create table public.handed (id int primary key, u int, w text, is_active boolean)"
            + (f" partition by range (id); {parts}" if is_partitioned else "")
        )
    databases.source_admin.execute(
        "insert into public.handed select g, g, 'w ' || g, true from generate_series(1, 200) g"
    )
    databases.allow_replica_role()
    replication = replicate("public.handed")
    replication.setup()
    replication.load()
    databases.target_admin.execute(GUARDS[guard])

    databases.source_admin.execute(HAND_ON)
    _, applied = replication.catch_up()

    assert dict(applied.paths) == {(QualifiedName("public", "handed"), None): 200}
    replication.assert_equal()
