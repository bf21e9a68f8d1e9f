"""Transactions arrive whole, in commit order, whatever their size (G4)."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.databases import connect
from tests.support.replication import Background
from trempy_provider.jobs.lease import StopSignal

SMALL_BATCHES = {"cdc_settings": {"batch_max_rows": 50}}


def test_transaction_larger_than_a_batch_is_applied_once_and_whole(databases, replicate):
    databases.source_admin.execute("create table public.t (id int primary key, v text)")
    replication = replicate("public.t", task=SMALL_BATCHES)
    replication.setup()
    replication.load()

    databases.source_admin.execute("insert into public.t select g, 'v' from generate_series(1, 1000) g")
    databases.source_admin.execute("update public.t set v = 'w' where id % 3 = 0")
    captured, applied = replication.catch_up()

    replication.assert_equal()
    assert captured.batch_count > 20
    assert applied.transaction_count == 2
    assert replication.metadata("select count(*) from trempy.held_changes") == [(0,)]


def test_reader_of_the_target_never_sees_half_a_transaction(databases, replicate):
    databases.source_admin.execute("create table public.accounts (id int primary key, amount int)")
    databases.source_admin.execute("insert into public.accounts select g, 100 from generate_series(1, 40) g")
    replication = replicate("public.accounts", task=SMALL_BATCHES)
    replication.setup()
    replication.load()
    seen, done = set(), threading.Event()

    def read_sums() -> None:
        with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("select sum(amount), count(*) from public.accounts")
                seen.add(cursor.fetchone())

    reader = threading.Thread(target=read_sums)
    reader.start()
    with replication.running():
        for step in range(60):
            databases.source_admin.execute(
                f"update public.accounts set amount = amount + case when id % 2 = {step % 2} then 1 else -1 end"
            )
        replication.wait_until_level()
    done.set()
    reader.join()

    assert seen == {(4000, 40)}
    replication.assert_equal()


TRANSFERS = """
create table public.accounts (id int primary key, amount int);
create table public.ledger (n int primary key, what text);
create table public.counter (id int primary key, n int);
insert into public.accounts select g, 100 from generate_series(1, 40) g;
insert into public.counter values (1, 0);
create procedure public.transfer(count int) language plpgsql as $$
begin
    for step in 1..count loop
        update public.accounts set amount = amount - 1 where id = 1 + step % 40;
        insert into public.ledger values (step, repeat('x', step % 7));
        update public.accounts set amount = amount + 1 where id = 1 + (step * 7 + 3) % 40;
        update public.counter set n = n + 1;
        commit;
    end loop;
end $$;
"""
SEEN = """
select (select sum(amount) from public.accounts), (select count(*) from public.ledger),
    (select coalesce(max(n), 0) from public.ledger), (select n from public.counter)
"""


@pytest.mark.parametrize("merges", [True, False], ids=["merged", "each by itself"])
@pytest.mark.usefixtures("way")
def test_reader_never_sees_half_of_merged_transactions(databases, replicate, merges):
    databases.source_admin.execute(TRANSFERS)
    cdc = {"batch_max_rows": 100, "merge_transactions": merges}
    replication = replicate("public.accounts", "public.ledger", "public.counter", task={"cdc_settings": cdc})
    replication.setup()
    replication.load()
    databases.source_admin.execute("call public.transfer(300)")
    replication.capture()
    seen, done = set(), threading.Event()

    def read() -> None:
        with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute(SEEN)
                seen.add(cursor.fetchone())

    reader = threading.Thread(target=read)
    reader.start()
    applied = replication.apply()
    done.set()
    reader.join()

    assert {(amount, count == last == counter) for amount, count, last, counter in seen} == {(4000, True)}
    assert applied.transaction_count == 300
    assert applied.batch_count < 30
    if merges:
        assert len(seen) <= 1 + applied.batch_count
    else:
        assert databases.target.fetch_value("select count(distinct xmin::text) from public.ledger") == 300
    replication.assert_equal()


def test_batches_grow_while_apply_is_behind(databases, replicate):
    databases.source_admin.execute("create table public.t (id int primary key, v int)")
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    stop = StopSignal()
    captured = Background(lambda: replication.capture(seconds=60, stop=stop))

    with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
        for number in range(300):
            cursor.execute("insert into public.t values (%s, 0)", (number,))
            time.sleep(0.01)
    replication.apply(seconds=4)
    stop.set()
    report = captured.result()

    assert report.transaction_count == 300
    assert report.batch_count < 60
    replication.catch_up()
    replication.assert_equal()


def test_thousands_of_tiny_transactions_are_applied_in_commit_order(databases, replicate):
    """Each takes the next number under a lock: whoever reads the target sees numbers without a hole."""
    databases.source_admin.execute(
        "create table public.counter (id int primary key, n int);"
        "insert into public.counter values (1, 0);"
        "create table public.log (n int); alter table public.log replica identity full"
    )
    replication = replicate("public.counter", "public.log")
    replication.setup()
    replication.load()
    take = "with next as (update public.counter set n = n + 1 returning n) insert into public.log select n from next"
    seen, done = [], threading.Event()

    def write() -> None:
        with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
            cursor.execute("set synchronous_commit = off")
            for _ in range(700):
                cursor.execute(take)

    def read() -> None:
        query = (
            "select n, (select count(*) from public.log), (select max(n) from public.log) from public.counter"
        )
        with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
            while not done.wait(0.005):
                cursor.execute(query)
                seen.append(cursor.fetchone())

    threads = [threading.Thread(target=call) for call in (write, write, write, read)]
    with replication.running():
        for thread in threads:
            thread.start()
        for thread in threads[:3]:
            thread.join()
        replication.wait_until_level()
    done.set()
    threads[3].join()

    assert len(set(seen)) > 3
    assert all(n == count == (last or 0) for n, count, last in seen)
    assert databases.target_admin.fetch_value("select n from public.counter") == 2100
    replication.assert_equal()


def test_partial_roll_backs_leave_what_the_source_kept(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, v text, unique (v));"
        "create table public.keyless (v int); alter table public.keyless replica identity full"
    )
    replication = replicate("public.t", "public.keyless", task=SMALL_BATCHES)
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        """
        begin;
        insert into public.t select g, 'a' || g from generate_series(1, 120) g;
        savepoint outer_one;
        update public.t set v = 'b' || id;
        savepoint inner_one;
        delete from public.t where id % 2 = 0;
        insert into public.keyless select generate_series(1, 60);
        rollback to savepoint inner_one;
        update public.t set v = 'c' || id where id < 10;
        release savepoint outer_one;
        savepoint another;
        truncate public.keyless;
        insert into public.keyless values (1);
        rollback to savepoint another;
        insert into public.keyless values (2), (2);
        commit
        """
    )
    databases.source_admin.execute(
        """
        do $$
        begin
            for i in 1..100 loop
                begin
                    insert into public.t values (i + case when i % 2 = 0 then 0 else 1000 end, 'd' || i);
                exception when unique_violation then
                    insert into public.keyless values (i);
                end;
            end loop;
        end $$
        """
    )
    databases.source_admin.execute("begin; delete from public.t; rollback")
    replication.catch_up()

    replication.assert_equal()
    assert databases.target_admin.fetch_value("select count(*) from public.keyless") == 52
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]
