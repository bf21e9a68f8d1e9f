"""All commands of one task at the same moment: each is done, waits, or is refused with the reason."""

import pytest

from tests.support.command import finish

TABLES = (
    "create table public.t (id bigint generated always as identity primary key, v text);"
    "create table public.keyless (n int, v text); alter table public.keyless replica identity full;"
    "insert into public.t (v) select 'v' || g from generate_series(1, 20000) g;"
    "insert into public.keyless select g % 10, 'k' from generate_series(1, 1000) g"
)
AT_ONCE = (
    ("setup",),
    ("setup",),
    ("full-load",),
    ("full-load",),
    ("run", "--for", "4"),
    ("run", "--for", "4"),
    ("capture", "--for", "3"),
    ("apply", "--for", "3"),
    ("refresh",),
    ("reload", "--table", "public.t"),
    ("status",),
    ("check",),
)


@pytest.fixture
def command(databases, trempy):
    databases.source_admin.execute(TABLES)
    return trempy("public.*")


@pytest.mark.parametrize("is_set_up", [False, True], ids=["from nothing", "set up"])
def test_commands_at_once_are_refused_or_safe(databases, command, is_set_up):
    if is_set_up:
        command.done("run", "--until-caught-up")
        databases.source_admin.execute("update public.t set v = v || '.' where id % 3 = 0")

    started = [command.start(*words) for words in AT_ONCE]
    databases.source_admin.execute(
        "insert into public.t (v) select 'later' from generate_series(1, 500);"
        "delete from public.keyless where n = 3"
    )
    results = [finish(process, timeout_seconds=150) for process in started]
    command.done("run", "--until-caught-up")

    for words, result in zip(AT_ONCE, results, strict=True):
        assert result.code in (0, 1), (words, result)
        assert result.code == 0 or result.last_line.startswith("error: "), (words, result)
        assert "Traceback" not in result.stderr, words
    command.assert_equal()
    assert databases.target.fetch_value("select count(*) from trempy.apply_errors") == 0


def test_teardowns_at_once_leave_nothing(databases, command):
    command.done("run", "--until-caught-up")
    started = [command.start("run", "--for", "5"), *(command.start("teardown") for _ in range(3))]

    results = [finish(process, timeout_seconds=150) for process in started]
    command.done("teardown")

    assert {result.code for result in results[1:]} <= {0, 1}, results
    assert not any("Traceback" in result.stderr for result in results)
    slots = "select count(*) from pg_replication_slots where slot_name = %s"
    assert databases.source.fetch_value(slots, [f"trempy_{command.task_name}"]) == 0
    assert databases.source.fetch_value("select count(*) from pg_publication") == 0
    assert not databases.target.fetch_value("select to_regnamespace('trempy') is not null")
