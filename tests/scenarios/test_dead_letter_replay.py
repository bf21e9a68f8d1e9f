"""A replay is in order, has its effect once, and never writes an older value over a newer one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.dead_letters import (
    TABLES,
    letters,
    listed,
    make_tables,
    mend,
    options,
    refuse,
    replay,
)
from tests.support.replication import settings
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import ApplyError, BrokerUnavailableError
from trempy_provider.jobs.dead_letters import discard_dead_letters, show_dead_letter

MODES = ["default", "upsert"]
POISON = "insert into public.t values (99, 13, 'poison')"


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets up a task that passes over what its target refuses."""

    def start(mode: str = "default", *, tables=TABLES, **cdc):
        make_tables(databases)
        replication = replicate(*tables, **options(mode, **cdc))
        replication.setup()
        replication.load()
        refuse(databases)
        return replication

    return start


def record_errors(replication) -> None:
    """Let rows that fail be recorded from now on."""
    mode = str(replication.task.cdc.mode)
    given = options(mode) | {"error_handling": {}}
    replication.change_settings(settings(replication.task.task_name, list(TABLES), **given))


def rows(databases, table: str = "t") -> list[tuple]:
    return databases.target.fetch_all(f"select id, v from public.{table} order by id")


def reported(replication) -> list[tuple[str, str | None]]:
    """Return operation and key of the changes that were left alone."""
    return replication.metadata(
        "select operation, key_values->>'id' from trempy.apply_errors where sqlstate = 'TR001' order by error_id"
    )


@pytest.mark.parametrize("mode", MODES)
def test_rows_changed_since_are_reported_and_all_others_written(databases, start, mode):
    replication = start(mode)
    databases.source_admin.execute(
        f"begin; {POISON}; insert into public.t values (10, 1, 'a'), (11, 1, 'a');"
        "update public.t set v = 1 where id in (1, 2); delete from public.t where id in (3, 6);"
        "update public.t set id = 40 where id = 4; update public.t set id = 50 where id = 5;"
        "update public.u set v = 1; commit"
    )
    replication.catch_up()
    record_errors(replication)
    databases.source_admin.execute(
        "delete from public.t where id = 11; update public.t set v = 2 where id in (2, 50);"
        "insert into public.t values (3, 2, 'again')"
    )
    replication.catch_up()
    before = dict(rows(databases))
    mend(databases)

    (settled,) = replay(replication).letters

    assert settled.outcome == "replayed"
    counts = settled.replayed
    assert (counts.change_count, counts.changed_since_count, counts.error_count) == (6, 4, 0)
    assert sorted(reported(replication)) == [
        ("delete", "3"), ("insert", "11"), ("update", "2"), ("update", "5"),
    ]  # fmt: skip
    after = dict(rows(databases))
    assert {key: after.get(key) for key in (1, 4, 6, 10, 40, 99)} == {
        1: 1, 4: None, 6: None, 10: 1, 40: 0, 99: 13,
    }  # fmt: skip
    newer = (2, 3, 5, 11, 50)
    assert {key: after.get(key) for key in newer} == {key: before.get(key) for key in newer}
    assert rows(databases, "u") == [(1, 1)]
    if mode == "upsert":
        assert (after[2], after[3], after[50]) == (2, 2, 2)
    assert letters(replication) == listed(replication) == []
    assert replay(replication).letters == ()


def test_replay_killed_before_the_message_is_removed_has_its_effect_once(databases, start, monkeypatch):
    replication = start()
    databases.source_admin.execute(f"begin; {POISON}; update public.t set v = v + 1 where id = 1; commit")
    replication.catch_up()
    mend(databases)
    ((name, _),) = listed(replication)
    bodies = [letter.body for letter in letters(replication)]

    def fail(*_):
        raise BrokerUnavailableError("the connection is lost")

    monkeypatch.setattr(RabbitMqBroker, "remove_dead_letter", fail)
    interrupted = replay(replication)
    monkeypatch.undo()

    assert isinstance(interrupted.error, BrokerUnavailableError)
    replication.assert_equal()
    assert listed(replication) == []
    assert [letter.body for letter in letters(replication)] == bodies
    databases.source_admin.execute("update public.t set v = 7 where id = 1")
    replication.catch_up()  # its start finds the letter settled, and removes it
    replication.assert_equal()
    assert letters(replication) == []
    states = replication.metadata(f"select state from trempy.dead_letters where message_id = '{name}'")
    assert states == [("replayed",)]


@pytest.mark.parametrize("mode", MODES)
def test_letters_of_the_same_table_are_replayed_in_order_only(databases, start, mode):
    replication = start(mode)
    databases.source_admin.execute(f"begin; {POISON}; insert into public.t values (10, 1, 'a'); commit")
    databases.source_admin.execute("insert into public.u values (2, 2)")
    databases.source_admin.execute(
        "begin; insert into public.t values (98, 13, 'b'); update public.t set v = 2 where id = 10; commit"
    )
    replication.catch_up()
    mend(databases)
    (first, _), (second, _) = listed(replication)

    refused = replay(replication, [second])
    done = replay(replication)

    assert first in str(refused.error)
    assert [letter.outcome for letter in refused.letters] == ["passed_over"]
    assert [(letter.message_id, letter.outcome) for letter in done.letters] == [
        (first, "replayed"), (second, "replayed"),
    ]  # fmt: skip
    replication.assert_equal()


def test_replay_that_fails_again_changes_nothing_and_says_why(databases, start):
    replication = start()
    databases.source_admin.execute(f"begin; update public.t set v = 5 where id = 1; {POISON}; commit")
    replication.catch_up()
    before = rows(databases)

    failed = replay(replication)

    assert "lucky" in str(failed.error)
    assert [letter.outcome for letter in failed.letters] == ["passed_over"]
    assert rows(databases) == before
    record_errors(replication)
    (settled,) = replay(replication).letters
    assert (settled.outcome, settled.replayed.change_count, settled.replayed.error_count) == (
        "replayed",
        2,
        1,
    )
    assert dict(rows(databases))[1] == 5
    assert replication.metadata("select sqlstate, key_values->>'id' from trempy.apply_errors") == [
        ("23514", "99")
    ]
    assert replication.metadata("select sum(error_count) from trempy.table_states") == [(1,)]


def test_truncates_on_either_side_stand_between(databases, start):
    replication = start()
    databases.source_admin.execute(f"begin; truncate public.u, public.t; {POISON}; commit")
    replication.catch_up()
    mend(databases)
    replay(replication)
    replication.assert_equal()  # nothing has changed since: the truncate is replayed

    databases.target_admin.execute("alter table public.t add constraint lucky check (v <> 13 or id = 99)")
    databases.source_admin.execute(
        "begin; truncate public.t, public.u; insert into public.t values (98, 13, 'b'), (1, 1, 'c'); commit"
    )
    replication.catch_up()
    databases.source_admin.execute("insert into public.u values (5, 5)")
    replication.catch_up()
    mend(databases)
    before = rows(databases), rows(databases, "u")
    (settled,) = replay(replication).letters  # u has changed, and the truncate joins both
    assert (settled.replayed.change_count, settled.replayed.changed_since_count) == (0, 3)
    assert (rows(databases), rows(databases, "u")) == before

    databases.target_admin.execute("alter table public.t add constraint lucky check (v <> 13 or id = 99)")
    databases.source_admin.execute(
        "insert into public.t values (97, 13, 'd'); insert into public.u values (6, 6)"
    )
    replication.catch_up()
    databases.source_admin.execute("truncate public.t")
    replication.catch_up()
    mend(databases)
    settled = replay(replication).letters
    assert [letter.replayed.changed_since_count for letter in settled] == [1]
    assert rows(databases) == []


def test_rows_of_a_later_load_are_left_as_they_are(databases, start):
    replication = start()
    databases.source_admin.execute(f"begin; {POISON}; update public.t set v = 1 where id = 1; commit")
    replication.catch_up()
    mend(databases)
    databases.source_admin.execute("update public.t set v = 2 where id = 1")
    replication.load(tables=["public.t"], reload=True)

    (settled,) = replay(replication).letters

    assert (settled.outcome, settled.replayed.change_count) == ("replayed", 0)
    assert settled.replayed.loaded_since_count == 2
    replication.catch_up()
    replication.assert_equal()


def test_large_transaction_is_replayed_whole(databases, start):
    replication = start(batch_max_rows=10)
    databases.source_admin.execute(
        f"begin; insert into public.t select g, 1, 'x' from generate_series(100, 160) g; {POISON};"
        "update public.t set v = 2 where id = 120; delete from public.t where id = 2; commit"
    )
    replication.catch_up()
    databases.source_admin.execute(
        "begin; insert into public.t select g, 1, 'x' from generate_series(200, 260) g; commit"
    )
    replication.catch_up()
    mend(databases)

    (settled,) = replay(replication).letters

    assert settled.replayed.change_count == 64
    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.dead_letter_chunks") == [(0,)]
    assert replication.metadata("select count(*) from trempy.dead_letter_rows") == [(0,)]


def test_tables_whose_rows_cannot_be_told_apart_with_certainty_are_replayed_whole_or_not_at_all(
    databases, replicate
):
    databases.source_admin.execute(
        "create table public.t (id numeric primary key, v int); insert into public.t values (1, 0), (2, 0);"
        "create table public.u (id int, v int); alter table public.u replica identity full;"
        "insert into public.u values (1, 0), (1, 0), (2, 0)"
    )
    replication = replicate(*TABLES, **options())
    replication.setup()
    replication.load()
    refuse(databases)
    databases.source_admin.execute(
        "begin; insert into public.t values (9, 13); update public.t set v = 1 where id = 1;"
        "insert into public.u values (3, 3), (4, 4); delete from public.u where id = 2; commit"
    )
    replication.catch_up()
    record_errors(replication)
    # 1.0 is the same key as 1, in another text; a row of u that is equal to one of the letter's is deleted.
    databases.source_admin.execute("update public.t set id = 1.0, v = 2 where id = 1")
    databases.source_admin.execute(
        "begin; delete from public.u where id = 4; insert into public.u values (3, 3); commit"
    )
    replication.catch_up()
    mend(databases)

    (settled,) = replay(replication).letters

    assert (settled.replayed.change_count, settled.replayed.changed_since_count) == (2, 3)
    assert sorted(databases.target.fetch_all("select id::text, v from public.t")) == [("1.0", 2), ("2", 0)]
    assert databases.target.fetch_all("select id, v from public.u order by id") == [
        (1, 0), (1, 0), (3, 3), (3, 3),
    ]  # fmt: skip


@dataclass
class History:
    """Random changes of rows with keys from `first` on, and which keys each of them concerns."""

    choose: random.Random
    first: int
    present: set[int]
    keys: list[tuple[int, ...]] = field(default_factory=list)

    def write(self, count: int) -> str:
        """Return so many statements."""
        self.keys = []
        return "".join(f"{self._statement()};" for _ in range(count))

    def _statement(self) -> str:
        key, new = self.choose.choice(sorted(self.present)), self.first + self.choose.randrange(40)
        kind = self.choose.choice(["update", "delete", "insert", "move"])
        if kind == "delete" and len(self.present) > 3:
            return self._note((key,), remove={key}, text=f"delete from public.t where id = {key}")
        if kind == "insert" and new not in self.present:
            return self._note((new,), add={new}, text=f"insert into public.t values ({new}, {new}, 'w')")
        if kind == "move" and new not in self.present:
            text = f"update public.t set id = {new} where id = {key}"
            return self._note((key, new), add={new}, remove={key}, text=text)
        return self._note((key,), text=f"update public.t set v = v + 1 where id = {key}")

    def _note(self, keys: tuple[int, ...], *, text: str, add: Any = (), remove: Any = ()) -> str:
        self.keys.append(keys)
        self.present = (self.present - set(remove)) | set(add)
        return text

    def joined(self) -> list[set[int]]:
        """Return the keys of the last statements, those together that became each other."""
        found: list[set[int]] = []
        for keys in self.keys:
            touched = [group for group in found if group & set(keys)]
            found = [group for group in found if not group & set(keys)]
            found.append(set(keys).union(*touched))
        return found


@pytest.mark.parametrize("mode", MODES)
def test_after_random_histories_a_replay_changes_exactly_the_rows_nothing_newer_concerns(
    databases, start, mode
):
    replication = start(mode)
    name, query = replication.task.task_name, "select id, v from public.t"
    stopping, recording = options(mode), options(mode) | {"error_handling": {}}
    choose = random.Random(5)
    for number in range(3):
        first = 1000 * (number + 1)
        history = History(choose, first, set(range(first, first + 12)))
        databases.source_admin.execute(
            f"insert into public.t select g, 0, 'w' from generate_series({first}, {first + 11}) g"
        )
        replication.catch_up()
        databases.source_admin.execute(
            f"begin; {history.write(8)} insert into public.t values ({first + 99}, 13, 'x'); commit"
        )
        replication.catch_up()
        letter = [*history.joined(), {first + 99}]
        replication.change_settings(settings(name, list(TABLES), **recording))
        databases.source_admin.execute(f"begin; {history.write(4)} commit")
        newer = set().union(*history.keys)
        replication.catch_up()
        before = dict(databases.target.fetch_all(query))
        mend(databases)

        (settled,) = replay(replication).letters

        source = dict(databases.source_admin.fetch_all(query))
        after = dict(databases.target.fetch_all(query))
        free = set().union(*(keys for keys in letter if not keys & newer))
        expected = {key: v for key, v in before.items() if key not in free}
        expected |= {key: v for key, v in source.items() if key in free}
        assert settled.outcome == "replayed"
        assert settled.replayed.error_count == 0
        assert after == expected
        databases.source_admin.execute(f"delete from public.t where id >= {first}")
        replication.catch_up()
        databases.target_admin.execute(f"delete from public.t where id >= {first}")
        refuse(databases)
        replication.change_settings(settings(name, list(TABLES), **stopping))


def test_discarded_letters_are_gone_and_the_task_goes_on_after_one_it_stopped_at(databases, start):
    replication = start(on_dead_letter="stop")
    databases.source_admin.execute(POISON)
    replication.capture()
    databases.source_admin.execute("insert into public.t values (10, 1, 'a')")
    replication.capture()
    with pytest.raises(ApplyError):
        replication.apply()
    ((name, state),) = listed(replication)
    assert state == "waiting"

    (settled,) = discard_dead_letters(
        replication.task, target=replication.target, broker=replication.broker, message_ids=[name]
    ).letters
    replication.catch_up()

    assert settled.outcome == "discarded"
    assert dict(rows(databases)) == {**dict.fromkeys(range(1, 10), 0), 10: 1}
    assert letters(replication) == listed(replication) == []

    replication.change_settings(settings(replication.task.task_name, list(TABLES), **options()))
    databases.source_admin.execute("insert into public.t values (98, 13, 'b')")
    replication.catch_up()
    discard_dead_letters(replication.task, target=replication.target, broker=replication.broker)
    assert letters(replication) == listed(replication) == []
    assert replication.metadata("select passed_over_count from trempy.checkpoints") == [(0,)]
    states = replication.metadata("select distinct state from trempy.dead_letters")
    assert states == [("discarded",)]


def test_replay_of_a_letter_the_task_stopped_at_is_what_the_next_start_does(databases, start):
    replication = start(on_dead_letter="stop")
    databases.source_admin.execute(POISON)
    replication.capture()
    with pytest.raises(ApplyError):
        replication.apply()
    mend(databases)

    (settled,) = replay(replication).letters

    assert (settled.outcome, settled.error) == ("applied", None)
    replication.assert_equal()
    assert letters(replication) == listed(replication) == []


def test_show_tells_operations_tables_keys_and_columns(databases, start):
    replication = start(batch_max_rows=10)
    databases.source_admin.execute(
        "alter table public.t alter w set storage external;"
        "insert into public.t values (20, 0, repeat('long', 3000))"
    )
    replication.catch_up()
    databases.source_admin.execute(
        "begin; truncate public.u; insert into public.t select g, g, null from generate_series(100, 115) g;"
        "update public.t set v = 1 where id = 20; update public.t set id = 30 where id = 1;"
        f"delete from public.t where id = 2; {POISON}; commit"
    )
    replication.catch_up()
    ((name, _),) = listed(replication)

    shown = show_dead_letter(
        replication.task, target=replication.target, broker=replication.broker, message_id=name, limit=100
    )

    assert shown.is_complete
    told = [(str(c.operation.value), c.table, c.key, c.new, c.unchanged) for c in shown.changes]
    assert told[0] == ("truncate", "public.u", {}, {}, ())
    assert told[1] == ("insert", "public.t", {"id": "100"}, {"id": "100", "v": "100", "w": None}, ())
    assert told[17] == ("update", "public.t", {"id": "20"}, {"id": "20", "v": "1"}, ("w",))
    assert told[18][:3] == ("update", "public.t", {"id": "1"})
    assert told[18][3]["id"] == "30"
    assert told[19][:4] == ("delete", "public.t", {"id": "2"}, {})
    assert len(told) == 21
    first = show_dead_letter(
        replication.task, target=replication.target, broker=replication.broker, message_id=name, limit=3
    )
    assert (len(first.changes), first.is_complete) == (3, False)
    assert replication.metadata("select count(*) from trempy.rolled_back_subtransactions") == [(0,)]


def test_masked_values_stay_masked_in_a_letter_when_it_is_shown_and_replayed(databases, replicate):
    make_tables(databases)
    redact = {
        "table_info": {"schema_name": "public", "table_name": "t"},
        "settings": {
            "transformation_type": "modify_column_value",
            "contract": {"operation": "redact", "column_name": "w"},
        },
    }
    replication = replicate(*TABLES, transformations=[redact], **options())
    replication.setup()
    replication.load()
    refuse(databases)
    databases.source_admin.execute(POISON)
    replication.catch_up()
    ((name, _),) = listed(replication)

    shown = show_dead_letter(
        replication.task, target=replication.target, broker=replication.broker, message_id=name, limit=10
    )
    (letter,) = letters(replication)
    mend(databases)
    replay(replication)

    assert [change.new for change in shown.changes] == [{"id": "99", "v": "13", "w": "***"}]
    assert b"poison" not in letter.body
    assert databases.target.fetch_value("select w from public.t where id = 99") == "***"
