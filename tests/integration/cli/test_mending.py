"""`dead-letters` and `skip`: what a person does about a message that cannot be applied."""

import re

import pytest

POISON = "insert into public.t values (9, 13, 'secret')"


@pytest.fixture
def stopped(databases, trempy):
    """A task that has stopped at a transaction of the source."""
    databases.source_admin.execute("create table public.t (id int primary key, v int, w text)")
    databases.target_admin.execute(
        "create table public.t (id int primary key, v int check (v <> 13), w text)"
    )
    command = trempy("public.t", error_handling={"stop_if_insert_error": True})
    command.done("run", "--until-caught-up")
    databases.source_admin.execute(f"begin; insert into public.t values (8, 1, null); {POISON}; commit")
    failed = command.run("run", "--until-caught-up")
    assert failed.code == 1
    command.failure = failed
    return command


def test_letter_is_listed_shown_replayed_and_gone(stopped, databases):
    (letter,) = stopped.done("dead-letters list")["dead_letters"]
    name = letter["message_id"]
    listed = stopped.run("dead-letters list")
    shown = stopped.run("dead-letters show", name)
    shown_values = stopped.done("dead-letters show", name, "--limit", "1")
    failed = stopped.run("dead-letters replay", "--json")
    status = stopped.run("status")
    unknown = stopped.run("dead-letters show", "nothing")
    databases.target_admin.execute("alter table public.t drop constraint t_v_check")
    replayed = stopped.done("dead-letters replay", name)

    assert (letter["state"], letter["attempt_count"], letter["is_in_queue"]) == ("waiting", 3, True)
    for text in (listed.stdout, status.stdout):
        assert name in text
        assert "t_v_check" in text
        assert "secret" not in text
    assert re.search(r'insert public\.t, key id = "9"\n', shown.stdout)
    assert '    new w = "secret"\n' in shown.stdout
    assert "    new w = NULL\n" in shown.stdout
    assert [change["key"] for change in shown_values["changes"]] == [{"id": "8"}]
    assert not shown_values["is_complete"]
    assert failed.code == 1
    assert "t_v_check" in failed.last_line
    assert [letter["outcome"] for letter in failed.report["dead_letters"]] == ["waiting"]
    assert [letter["outcome"] for letter in replayed["dead_letters"]] == ["applied"]
    stopped.assert_equal()
    assert stopped.run("dead-letters list").stdout == "no dead letters\n"
    assert "secret" not in stopped.failure.stderr + failed.stderr + listed.stderr
    assert unknown.code == 2
    assert "no dead letter is called nothing" in unknown.last_line


def test_discarded_or_skipped_the_task_goes_on(stopped, databases):
    lsn = re.search(r"trempy skip SETTINGS\.json --lsn (\S+?)`", stopped.failure.last_line)[1]
    asked = stopped.done("skip", "--lsn", lsn)
    undone = stopped.done("skip", "--none")
    stopped.done("skip", "--lsn", lsn)
    waiting = stopped.run("status").stdout
    stopped.done("run", "--until-caught-up")
    told = stopped.run("status").stdout
    databases.source_admin.execute("insert into public.t values (7, 13, 'other')")
    assert stopped.run("run", "--until-caught-up").code == 1
    unnamed = stopped.run("dead-letters discard")
    over = stopped.run("skip", "--lsn", lsn)
    discarded = stopped.done("dead-letters discard", "--all")
    databases.source_admin.execute("insert into public.t values (6, 1, 'good')")
    stopped.done("run", "--until-caught-up")

    assert asked == {"skip_lsn": lsn, "former_skip_lsn": None}
    assert undone == {"skip_lsn": None, "former_skip_lsn": lsn}
    assert f"the transaction with commit LSN {lsn} will be skipped" in waiting
    assert re.search(rf"transaction \d+ with commit LSN {lsn} was skipped, 2 changes", told)
    assert (unnamed.code, "--all" in unnamed.last_line) == (2, True)
    assert (over.code, "can be skipped any more" in over.last_line) == (2, True)
    assert [letter["outcome"] for letter in discarded["dead_letters"]] == ["discarded"]
    assert databases.target.fetch_all("select id from public.t") == [(6,)]
