"""Transactions arrive whole, in commit order, whatever their size (G4)."""

from __future__ import annotations

import threading
import time

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
