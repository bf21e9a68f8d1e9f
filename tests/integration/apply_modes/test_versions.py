"""Versions written by statements are those that a plain model makes of the single changes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from tests.support.changes import insert, update
from tests.support.databases import DatabasePair
from tests.support.histories import read_history
from tests.support.history_changes import PLAIN, Step, at, possible, started, write_one_by_one
from tests.support.history_model import Histories
from tests.support.tasks import make_target, make_task
from trempy_provider.apply_modes.applier import read_target_table
from trempy_provider.apply_modes.projection import Projection, project
from trempy_provider.apply_modes.scd2 import VersionWriter
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import TEXT
from trempy_provider.postgres.metadata import migrate
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_states import LoadState, TableState
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.changes import Change
from trempy_provider.replication.messages import UNCHANGED, Tuple

QUERY = "select k, v, w from public.t"
NAME = QualifiedName("public", "t")


class Target:
    """A target table of versions, and the writer of its task."""

    def __init__(self, session: Session, task: ReplicationTask) -> None:
        self.session = session
        self.task = task
        self.writer = VersionWriter(session, task)

    def start(self, rows: Sequence[Tuple]) -> None:
        """Begin with the current versions of some rows."""
        self.session.execute("truncate public.t")
        for row in rows:
            self.session.execute(
                "insert into public.t values (%s, %s, %s, '1999-12-31 23:59:59.99999', null, 1)",
                [None if value is None else value.decode() for value in row],
            )

    def write(self, groups: Sequence[Sequence[Change]]) -> None:
        """Write groups of changes, each by itself, in one transaction."""
        with self.session.transaction():
            self.writer.begin()
            for changes in groups:
                if changes:
                    self.writer.write(self.projection(), changes)

    def projection(self) -> Projection:
        state = TableState(PLAIN.oid, NAME, NAME, ("k",), state=LoadState.READY)
        return project(
            PLAIN,
            types=[TEXT] * 3,
            task=self.task,
            state=state,
            target=read_target_table(self.session, NAME),
        )


@pytest.fixture
def target(databases: DatabasePair) -> Iterator[Target]:
    databases.target_admin.execute(
        "create table public.t (k text, v text, w text, scd_start_date timestamptz,"
        " scd_end_date timestamptz, scd_current int not null, primary key (k, scd_start_date));"
        "create unique index on public.t (k) where scd_current = 1"
    )
    task = make_task("test", [("public", "t")], cdc_settings={"mode": "scd2"})
    with make_target(databases).connect("test") as session:
        migrate(session)
        session.execute(
            "insert into trempy.tasks (task_name, system_identifier, timeline, source_database)"
            " values ('test', '1', 1, 'shop')"
        )
        yield Target(session, task)


def random_steps(choose: random.Random, *, pauses: Sequence[int]) -> list[Step]:
    cells = [b"", b"p", b"q", None, UNCHANGED, UNCHANGED]
    keys = [b"1", b"2", b"3"]
    return [
        (
            choose.choice(["insert", "insert", "update", "update", "update", "move", "delete"]),
            choose.choice(keys),
            choose.choice(keys),
            (choose.choice(cells), choose.choice(cells)),
            choose.choice(pauses),
            choose.random() < 0.2,
        )
        for _ in range(choose.randrange(1, 60))
    ]


def expected(groups: Sequence[Sequence[Change]], rows: Sequence[Tuple]) -> Histories:
    histories = started(rows)
    for changes in groups:
        for change in changes:
            write_one_by_one(histories, change)
    return histories


def decoded(histories: Histories) -> dict:
    return {
        tuple(value.decode() for value in key): [
            (version.start, version.end, tuple(v if v is None else v.decode() for v in version.row))
            for version in chain
        ]
        for key, chain in histories.versions().items()
    }


def written(databases: DatabasePair) -> dict:
    histories = read_history(databases.target, QUERY)
    return {
        key: [(version.start, version.end, version.row) for version in chain]
        for key, chain in histories.items()
    }


@pytest.mark.parametrize("identity_is_full", [False, True])
def test_random_changes_in_random_groups_make_the_histories_of_the_model(
    databases: DatabasePair, target: Target, identity_is_full: bool
) -> None:
    for seed in range(30):
        steps = random_steps(random.Random(seed), pauses=[0, 0, 1, 2])  # same transaction, or a tie
        groups, rows = possible(steps, identity_is_full=identity_is_full)
        target.start(rows)

        target.write(groups)

        assert written(databases) == decoded(expected(groups, rows)), f"seed {seed}"
    assert not target.writer.errors.counts


def test_clock_that_goes_backwards_makes_no_version_overlap_and_loses_no_row(
    databases: DatabasePair, target: Target
) -> None:
    for seed in range(20):
        steps = random_steps(random.Random(seed), pauses=[0, 1, 1, -3, 5, -1, 2])
        groups, rows = possible(steps, identity_is_full=False)
        target.start(rows)

        target.write(groups)

        histories = read_history(databases.target, QUERY)  # checks the order of each history
        model = decoded(expected(groups, rows))
        current = {key: chain[-1].row for key, chain in histories.items() if chain[-1].end is None}
        assert current == {key: chain[-1][2] for key, chain in model.items() if chain[-1][1] is None}
    assert not target.writer.errors.counts


def test_version_after_a_backward_step_starts_a_microsecond_after_the_one_before(
    databases: DatabasePair, target: Target
) -> None:
    target.start([])

    target.write([[at(100, insert(PLAIN, b"1", b"a", b"w"))]])
    target.write(
        [[at(50, update(PLAIN, (b"1", b"b", UNCHANGED))), at(60, update(PLAIN, (b"1", b"c", b"w")))]]
    )

    chain = [(version.start, version.row[1]) for version in read_history(databases.target, QUERY)[("1",)]]
    assert chain == [(100, "a"), (101, "b"), (102, "c")]


def test_values_that_look_equal_but_are_not_make_versions(databases: DatabasePair, target: Target) -> None:
    databases.target_admin.execute(
        "alter table public.t alter v type numeric using v::numeric, alter w type json using w::json"
    )
    target.start([])

    target.write(
        [[at(1, insert(PLAIN, b"1", b"1.0", b"[1]")), at(2, update(PLAIN, (b"1", b"1.00", b"[1]")))]]
    )
    target.write(
        [[at(3, update(PLAIN, (b"1", b"1.00", b"[1] "))), at(4, update(PLAIN, (b"1", b"1.00", b"[1] ")))]]
    )

    rows = databases.target.fetch_all("select v::text, w::text from public.t order by scd_start_date")
    assert rows == [("1.0", "[1]"), ("1.00", "[1]"), ("1.00", "[1] ")]


def test_one_bad_change_among_a_thousand_is_found_by_halves(databases: DatabasePair, target: Target) -> None:
    target.start([])
    databases.target_admin.execute("alter table public.t add check (v <> 'bad')")
    changes = [at(number, insert(PLAIN, b"%d" % number, b"good", b"w")) for number in range(1000)]
    changes[417] = at(417, insert(PLAIN, b"417", b"bad", b"w"))

    target.write([changes])

    assert databases.target.fetch_value("select count(*) from public.t") == 999
    assert dict(target.writer.errors.counts) == {PLAIN.oid: 1}
