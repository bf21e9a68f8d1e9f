"""Apply in lanes: the guarantees of apply hold in each of them, and what is said of the task holds for all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.databases import connect
from tests.support.dead_letters import letters, mend, refuse, replay
from tests.support.replication import Background, settings
from tests.support.site import stream_early
from tests.support.wait import wait_until
from trempy_provider.errors import ApplyError
from trempy_provider.jobs.applying.lanes import MODULE
from trempy_provider.jobs.caught_up import is_caught_up
from trempy_provider.jobs.dead_letters import discard_dead_letters, show_dead_letter
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.skip import skip
from trempy_provider.replication import wire
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.transactions import read_transactions

FAMILIES = """
create table public.t (id int primary key, v int, w text);
create table public.customers (id int primary key, v text);
create table public.orders (id int primary key, customer int references public.customers, v text);
create table public.log (n int, v text);
alter table public.log replica identity full;
"""
TABLES = ["public.t", "public.customers", "public.orders", "public.log"]


def lanes(count=2, **options):
    return {"cdc_settings": {"apply_lanes": count, **options}}


def lane_of_each(replication):
    return dict(
        replication.metadata(
            "select source_table, lane from trempy.table_states where task_name = {task} order by 1"
        )
    )


def lane_lsns(replication):
    return [
        lsn
        for (lsn,) in replication.metadata(
            "select end_lsn::text from trempy.lanes where task_name = {task} order by lane"
        )
    ]


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets up a task of three groups of tables."""

    def start(count=2, **options):
        databases.source_admin.execute(FAMILIES)
        databases.allow_replica_role()
        replication = replicate(*TABLES, task=lanes(count, **options))
        replication.setup()
        replication.load()
        return replication

    return start


def test_tables_that_foreign_keys_join_are_in_one_lane(databases, start):
    replication = start(3)

    databases.source_admin.execute(
        "insert into public.customers select g, 'c' from generate_series(1, 100) g"
    )
    databases.source_admin.execute(
        "insert into public.orders select g, g, 'o' from generate_series(1, 100) g"
    )
    databases.source_admin.execute("insert into public.t select g, 0, 't' from generate_series(1, 100) g")
    databases.source_admin.execute("insert into public.log select g % 5, 'l' from generate_series(1, 100) g")
    _, applied = replication.catch_up()

    replication.assert_equal()
    given = lane_of_each(replication)
    assert given["customers"] == given["orders"]
    assert sorted({given["customers"], given["t"], given["log"]}) == [0, 1, 2]
    assert applied.change_count == 400
    assert applied.transaction_count == 4


def write_everywhere(databases, n=1, *, rows=200):
    databases.source_admin.execute(
        f"insert into public.customers select g, 'c' from generate_series({n}, {n + rows}) g;"
        f"insert into public.orders select g, g, 'o' from generate_series({n}, {n + rows}) g;"
        f"insert into public.t select g, 0, 't' from generate_series({n}, {n + rows}) g;"
        f"insert into public.log select g % 5, 'l' from generate_series({n}, {n + rows}) g"
    )


def test_transaction_larger_than_a_batch_is_taken_apart_and_rolled_back_in_part(databases, start):
    stream_early(databases)
    replication = start(3, batch_max_rows=40)

    with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        for n in range(0, 900, 300):
            cursor.execute(
                f"insert into public.t select g, 0, repeat('t', 500) from generate_series({n}, {n + 99}) g"
            )
            cursor.execute("savepoint a")
            cursor.execute("insert into public.log select g, repeat('l', 500) from generate_series(1, 100) g")
            cursor.execute(
                f"insert into public.t select g, 0, 'u' from generate_series({n + 100}, {n + 150}) g"
            )
            cursor.execute("rollback to a" if n == 300 else "release a")
            cursor.execute(
                f"insert into public.customers select g, 'c' from generate_series({n}, {n + 60}) g"
            )
        cursor.execute("commit")
    captured, applied = replication.catch_up()

    replication.assert_equal()
    assert captured.batch_count > 20
    assert applied.transaction_count == 1
    for table in ("held_chunks", "rolled_back_subtransactions"):
        assert replication.metadata(f"select count(*) from trempy.{table}") == [(0,)]


def test_truncate_of_tables_in_several_lanes_empties_each_in_its_place(databases, start):
    replication = start(3)
    write_everywhere(databases)

    databases.source_admin.execute("truncate public.t, public.orders, public.log")
    databases.source_admin.execute(
        "insert into public.t values (1, 1, 'after'); insert into public.log values (1, 'a')"
    )
    replication.catch_up()

    replication.assert_equal()


def test_json_messages_are_taken_apart_as_well(databases, start):
    replication = start(2, message_format="json")

    write_everywhere(databases)
    replication.catch_up()

    replication.assert_equal()


def test_shape_that_changes_on_the_source_is_followed_in_the_lane_of_its_table(databases, start):
    replication = start(2, schema_evolution="apply")
    write_everywhere(databases)

    databases.source_admin.execute(
        "alter table public.t add x int default 7; update public.t set x = id where id < 9"
    )
    databases.source_admin.execute(
        "alter table public.customers add y text; update public.customers set y = v"
    )
    write_everywhere(databases, 1000)
    replication.catch_up()

    replication.assert_equal()


def test_lane_goes_on_while_another_one_waits_and_the_task_is_as_far_as_the_slowest(databases, start):
    replication = start(2)
    blocked = "t" if lane_of_each_after_start(replication)["t"] else "customers"
    other = {"t": "customers", "customers": "t"}[blocked]

    with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"begin; lock table public.{blocked}")
        write_everywhere(databases)
        replication.capture()
        stop = StopSignal()
        applying = Background(lambda: replication.apply(seconds=120, stop=stop))
        wait_until(
            lambda: databases.target.fetch_value(f"select count(*) from public.{other}"),
            timeout_seconds=60,
            what="one lane to apply",
        )
        slow, fast = sorted(map(Lsn.parse, lane_lsns(replication)))
        assert slow < fast
        task_lsn = replication.metadata("select end_lsn::text from trempy.checkpoints")
        assert task_lsn == [(str(slow),)]
        assert not is_caught_up(replication.target, replication.task.task_name, lsn=fast)
        assert databases.target.fetch_value(f"select count(*) from public.{other}") == 201
        cursor.execute("rollback")
    wait_until(
        lambda: is_caught_up(replication.target, replication.task.task_name, lsn=fast),
        timeout_seconds=60,
        what="the slow lane to catch up",
    )
    stop.set()
    applying.result()

    replication.assert_equal()


def lane_of_each_after_start(replication):
    """Return the lanes of the tables, which an apply gives them."""
    replication.apply(seconds=0.1)
    return lane_of_each(replication)


def lane_processes():
    """Return the process id of each lane that this process has started."""
    pids = {}
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if MODULE.encode() in command:
                pids[pid] = command
    return sorted(pids)


def test_lane_that_is_killed_is_started_again_and_each_change_has_its_effect_once(databases, start):
    replication = start(2)
    stop = StopSignal()
    capturing = Background(lambda: replication.capture(seconds=300, stop=stop))
    applying = Background(lambda: replication.apply(seconds=300, stop=stop))
    killed = set()

    for n in range(6):
        write_everywhere(databases, 1000 * n, rows=50)
        pids = wait_until(
            lambda: [pid for pid in lane_processes() if pid not in killed],
            timeout_seconds=60,
            what="lanes to run",
        )
        if n % 2:
            killed.add(pids[n // 2 % len(pids)])
            os.kill(pids[n // 2 % len(pids)], signal.SIGKILL)
    replication.wait_until_level()
    stop.set()
    capturing.result()
    applying.result()

    replication.assert_equal()  # the log has no key: what is applied twice is there twice
    assert len(killed) == 3
    assert lane_processes() == []


@pytest.fixture
def failing(databases, start):
    """Return a function that lets one row fail on the target, of a transaction over all lanes."""

    def failing(**options):
        replication = start(3, **options)
        refuse(databases)
        write_everywhere(databases)
        databases.source_admin.execute(
            "begin; insert into public.t values (5000, 13, 'bad'); insert into public.log values (9, 'beside');"
            "insert into public.customers values (5000, 'beside'); commit"
        )
        write_everywhere(databases, 6000)
        replication.capture()
        return replication

    return failing


STOPPING = {"stop_if_insert_error": True}


def test_dead_letter_of_a_lane_stops_the_task_and_holds_the_part_of_that_lane(databases, failing):
    replication = failing()
    change_policy(replication, "stop")

    with pytest.raises(ApplyError, match="lucky"):
        replication.apply()

    (letter,) = letters(replication)
    assert letter.message_id.endswith(f"-lane{lane_of_each(replication)['t']}")
    shown = show_dead_letter(
        replication.task,
        target=replication.target,
        broker=replication.broker,
        message_id=letter.message_id,
        limit=2000,
    )
    assert {change.table for change in shown.changes} == {"public.t"}

    mend(databases)
    replication.apply()

    replication.assert_equal()
    assert letters(replication) == []


def change_policy(replication, on_dead_letter):
    """Go on with another policy for what fails."""
    cdc = lanes(3, on_dead_letter=on_dead_letter)
    given = settings(replication.task.task_name, TABLES, task=cdc, error_handling=STOPPING)
    replication.change_settings(given)


def test_transaction_is_passed_over_in_its_lane_only_and_replayed(databases, failing):
    replication = failing()
    change_policy(replication, "continue")

    replication.apply()

    assert databases.target.fetch_all("select count(*) from public.log where n = 9") == [(1,)]
    (letter,) = letters(replication)
    mend(databases)
    report = replay(replication)
    assert [(entry.message_id, entry.outcome) for entry in report.letters] == [
        (letter.message_id, "replayed")
    ]
    write_everywhere(databases, 9000)
    replication.catch_up()
    replication.assert_equal()
    assert letters(replication) == []


def test_dead_letter_that_has_stopped_a_lane_is_discarded_for_that_lane(databases, failing):
    replication = failing()
    change_policy(replication, "stop")
    with pytest.raises(ApplyError):
        replication.apply()
    (letter,) = letters(replication)

    report = discard_dead_letters(replication.task, target=replication.target, broker=replication.broker)

    assert [(entry.message_id, entry.outcome) for entry in report.letters] == [
        (letter.message_id, "discarded")
    ]
    replication.apply()
    assert databases.target.fetch_value("select count(*) from public.log where n = 9") == 1
    assert databases.target.fetch_value("select count(*) from public.customers where id = 5000") == 1
    assert databases.target.fetch_value("select count(*) from public.t where id = 5000") == 0


def test_message_that_the_broker_has_given_up_is_taken_back_by_all_lanes(databases, start):
    replication = start(2)
    write_everywhere(databases)
    replication.capture()
    for _ in range(4):
        consumer = replication.broker.open_consumer()
        assert consumer.get(timeout_seconds=20) is not None
        consumer.close()
    wait_until(lambda: replication.broker.depths().dead_letters == 1, what="the message to be a dead letter")

    replication.apply()

    replication.assert_equal()
    assert replication.broker.depths().dead_letters == 0


def test_number_of_lanes_changes_between_leases_and_back_to_one_process(databases, start):
    replication = start(2)
    name = replication.task.task_name
    write_everywhere(databases)
    replication.catch_up()
    counts = [len(lane_lsns(replication))]

    for number, count in enumerate((3, 1, 16), start=2):
        replication.change_settings(settings(name, TABLES, task=lanes(count)))
        write_everywhere(databases, 1000 * number)
        replication.catch_up()
        counts.append(len(lane_lsns(replication)))

    replication.assert_equal()
    assert counts == [2, 3, 0, 3]  # never more than groups of tables
    assert replication.metadata("select change_count from trempy.checkpoints") == [(4 * 201 * 4,)]


def test_number_of_lanes_stays_while_they_are_not_at_one_lsn(databases, failing, caplog):
    replication = failing()
    change_policy(replication, "stop")
    with pytest.raises(ApplyError):
        replication.apply()
    lsns = lane_lsns(replication)
    given = settings(replication.task.task_name, TABLES, error_handling=STOPPING)
    replication.change_settings(given)

    with pytest.raises(ApplyError):
        replication.apply()
    assert len(lane_lsns(replication)) == len(lsns) == 3
    assert "goes on with 3 lanes" in caplog.text

    mend(databases)
    replication.apply()
    assert len(lane_lsns(replication)) == 3
    write_everywhere(databases, 9000)
    replication.catch_up()
    assert lane_lsns(replication) == []
    replication.assert_equal()


def test_new_table_and_new_foreign_key_get_their_lane_at_the_next_start(databases, start):
    replication = start(3)
    write_everywhere(databases)
    replication.catch_up()
    before = lane_of_each(replication)

    for side in (databases.source_admin, databases.target_admin):
        side.execute("create table public.added (id int primary key, t int references public.t)")
    databases.source_admin.execute("alter table public.t add unique (w, id)")
    tables = [*TABLES, "public.added"]
    replication.change_settings(settings(replication.task.task_name, tables, task=lanes(3)))
    refresh(replication.task, source=replication.source, target=replication.target, broker=replication.broker)
    replication.load(tables=["public.added"])
    databases.source_admin.execute("insert into public.added select g, g from generate_series(1, 50) g")
    replication.catch_up()

    replication.assert_equal()
    assert lane_of_each(replication) == {**before, "added": before["t"]}


def test_transaction_is_skipped_in_all_lanes(databases, start):
    replication = start(3)
    write_everywhere(databases)
    replication.catch_up()
    databases.source_admin.execute(
        "begin; insert into public.t values (5000, 1, 'x'); insert into public.log values (9, 'x'); commit"
    )
    xid_at = databases.source_admin.fetch_value("select pg_current_wal_insert_lsn()::text")
    write_everywhere(databases, 6000)
    replication.capture()
    delivery = next(waiting_messages(replication))
    commit_lsn = next(
        t.commit_lsn for t in read_transactions(wire.decode(delivery.body)) if t.end_lsn <= Lsn.parse(xid_at)
    )

    skip(replication.task, target=replication.target, lsn=str(commit_lsn))
    replication.apply()

    assert databases.target.fetch_value("select count(*) from public.t where id = 5000") == 0
    assert databases.target.fetch_value("select count(*) from public.log where n = 9") == 0
    assert databases.target.fetch_value("select count(*) from public.t") == 402
    assert replication.metadata("select change_count from trempy.skipped_transactions") == [(2,)]


def waiting_messages(replication):
    """Yield the messages in the queue, and give them back."""
    consumer = replication.broker.open_consumer(prefetch_count=9)
    try:
        while (delivery := consumer.get(timeout_seconds=5)) is not None:
            yield delivery
    finally:
        consumer.close()


def test_task_that_is_set_up_anew_forgets_its_lanes(databases, start):
    replication = start(3)
    write_everywhere(databases)
    replication.catch_up()

    replication.setup(restart=True)
    assert lane_lsns(replication) == []
    replication.load()
    write_everywhere(databases, 3000)
    replication.catch_up()

    replication.assert_equal()


def test_row_errors_of_all_lanes_are_recorded_and_counted(databases, start):
    replication = start(3)
    refuse(databases)
    databases.source_admin.execute("insert into public.t select g, 13, 'x' from generate_series(1, 3) g")
    write_everywhere(databases, 6000)
    _, applied = replication.catch_up()

    assert replication.errors() == [("t", "insert", "23514")] * 3
    assert applied.error_count == 3
    assert applied.change_count == 3 + 4 * 201
