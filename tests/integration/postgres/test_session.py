"""Sessions survive what is nobody's fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.databases import DatabasePair, connect
from tests.support.replication import Background
from tests.support.tasks import open_target
from tests.support.wait import wait_until
from trempy_provider.errors import RetryPolicy
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.translation import TargetStatementError

OURS, THEIRS = 4711, 4712
TAKE_BOTH = "select pg_advisory_xact_lock(k) from unnest(array[4711, 4712]) k"


def run_into_a_deadlock(databases: DatabasePair, session: Session, take_both: Callable[[], object]) -> object:
    """Take two locks that another transaction takes in the other order, and be the one that is chosen."""
    with connect(databases.target_superuser.uri) as connection, connection.cursor() as other:
        other.execute("set deadlock_timeout = '60s'; begin; select pg_advisory_xact_lock(%s)", [THEIRS])
        ours = Background(take_both)
        waiting = "select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted and pid = %s"
        wait_until(lambda: databases.target_superuser.fetch_value(waiting, [session.backend_pid]))
        other.execute("select pg_advisory_xact_lock(%s)", [OURS])
        other.execute("commit")
        return ours.result()


@pytest.fixture
def patient(databases: DatabasePair) -> DatabasePair:
    """Let our session look for deadlocks late enough for there to be one."""
    databases.target_superuser.execute(f"alter role {databases.target.role} set deadlock_timeout = '2s'")
    return databases


def test_statement_of_its_own_that_is_chosen_in_a_deadlock_runs_again(patient: DatabasePair) -> None:
    with open_target(patient) as session:
        rows = run_into_a_deadlock(patient, session, lambda: session.fetch_all(TAKE_BOTH))

        assert len(rows) == 2


def test_whole_transaction_that_is_chosen_in_a_deadlock_runs_again(patient: DatabasePair) -> None:
    runs = []

    def work() -> None:
        runs.append(session.execute("create temporary table once ()"))
        session.fetch_all(TAKE_BOTH)

    with open_target(patient) as session:
        run_into_a_deadlock(patient, session, lambda: session.transact(work))

        assert len(runs) == 2
        assert session.fetch_value("select to_regclass('pg_temp.once')") is not None


def test_other_transaction_that_is_chosen_in_a_deadlock_is_left_to_its_job(patient: DatabasePair) -> None:
    def work() -> None:
        with session.transaction():
            session.fetch_all(TAKE_BOTH)

    with open_target(patient) as session:
        with pytest.raises(TargetStatementError, match="deadlock") as raised:
            run_into_a_deadlock(patient, session, work)

        assert raised.value.policy is RetryPolicy.BY_ITSELF
        assert not session.in_transaction
