"""Dead letters, their replay and skipped transactions in the mode scd2: histories stay whole."""

from __future__ import annotations

import pytest

from tests.support.dead_letters import TABLES, letters, listed, make_tables, mend, refuse, replay
from trempy_provider.errors import ApplyError
from trempy_provider.jobs.skip import skip

POISON = "insert into public.t values (99, 13, 'poison')"


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets up a task whose target refuses versions with v = 13."""

    def start(on_dead_letter: str):
        make_tables(databases)
        replication = replicate(
            *TABLES,
            task={"cdc_settings": {"mode": "scd2", "on_dead_letter": on_dead_letter}},
            error_handling={"stop_if_scd2_error": True},
        )
        replication.setup()
        replication.load()
        refuse(databases)
        return replication

    return start


def current(databases, table: str = "t") -> dict[int, int]:
    query = f"select id, v from public.{table} where scd_current = 1"
    return dict(databases.target.fetch_all(query))


def values(databases, key: int) -> list[int]:
    """Return the values of a row's versions in their order."""
    query = "select v from public.t where id = %s order by scd_start_date"
    return [value for (value,) in databases.target.fetch_all(query, [key])]


def assert_histories_are_whole(databases) -> None:
    """No two versions of a row overlap, none is empty, and only the last one is current."""
    wrong = """
        select from (select *, lead(scd_start_date) over (partition by id order by scd_start_date) as next_start
            from public.t) versions
        where scd_end_date <= scd_start_date or (scd_current = 1) <> (scd_end_date is null)
            or (next_start is not null and (scd_end_date is null or scd_end_date > next_start))
    """
    assert databases.target.fetch_all(wrong) == []


def test_passed_over_transaction_is_replayed_into_histories_that_nothing_newer_concerns(databases, start):
    replication = start("continue")
    databases.source_admin.execute(
        f"begin; {POISON}; update public.t set v = 1 where id in (1, 2); delete from public.t where id = 3;"
        "update public.u set v = 1; commit"
    )
    replication.catch_up()
    databases.source_admin.execute("update public.t set v = 2 where id = 2")
    replication.catch_up()
    passed_over = current(databases)
    mend(databases)

    (settled,) = replay(replication).letters

    assert (passed_over[1], passed_over[2], passed_over[3], passed_over.get(99)) == (0, 2, 0, None)
    assert (settled.outcome, settled.replayed.error_count) == ("replayed", 0)
    now = current(databases)
    assert (now[1], now[2], now.get(3), now[99]) == (1, 2, None, 13)
    assert (values(databases, 1), values(databases, 2), values(databases, 3)) == ([0, 1], [0, 2], [0])
    assert current(databases, "u") == {1: 1}
    assert_histories_are_whole(databases)
    assert letters(replication) == listed(replication) == []


def test_task_stops_at_a_dead_letter_and_goes_on_with_it_once_the_cause_is_gone(databases, start):
    replication = start("stop")
    databases.source_admin.execute(f"begin; {POISON}; update public.t set v = 1 where id = 1; commit")
    databases.source_admin.execute("update public.t set v = 2 where id = 1")
    replication.capture()
    with pytest.raises(ApplyError, match="failed"):
        replication.apply()
    (letter,) = letters(replication)
    stopped_at = values(databases, 1)

    mend(databases)
    replication.catch_up()

    assert letter.headers["attempt_count"] == 3
    assert stopped_at == [0]
    assert values(databases, 1) == [0, 1, 2]
    assert current(databases)[99] == 13
    assert_histories_are_whole(databases)
    assert letters(replication) == []


def test_skipped_transaction_leaves_no_version(databases, start):
    replication = start("stop")
    databases.source_admin.execute("update public.t set v = 1 where id = 1")
    databases.source_admin.execute(f"begin; {POISON}; update public.t set v = 2 where id = 1; commit")
    databases.source_admin.execute("update public.t set v = 3 where id = 1")
    replication.capture()
    with pytest.raises(ApplyError) as raised:
        replication.apply()
    lsn = raised.value.hint.partition("--lsn ")[2].split()[0].rstrip(".`")

    skip(replication.task, target=replication.target, lsn=lsn)
    _, applied = replication.catch_up()

    assert applied.skipped_transaction_count == 1
    assert values(databases, 1) == [0, 1, 3]
    assert 99 not in current(databases)
    assert_histories_are_whole(databases)
