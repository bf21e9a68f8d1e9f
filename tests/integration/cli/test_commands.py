"""Every command does its job, and tells it in its exit code and its last line."""

import json
from urllib.parse import unquote, urlsplit

from tests.support.command import finish
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import TopologyError

ROWS = "insert into public.{table} (id, v) select g, 'v' || g from generate_series(1, {count}) g"


def make_table(databases, table="t", count=100):
    databases.source_admin.execute(f"create table public.{table} (id int primary key, v text, n serial)")
    databases.source_admin.execute(ROWS.format(table=table, count=count))


def test_commands_one_by_one_replicate_and_leave_nothing_behind(databases, rabbitmq_uri, trempy):
    make_table(databases)
    command = trempy("public.*")

    assert command.done("check") == {"findings": []}
    (tried,) = command.done("dry-run", "--rows", "20")["tables"]
    assert (tried["rows"], tried["passing_rows"], len(tried["after"])) == (20, 20, 3)
    assert command.done("setup")["started_anew"]
    assert not command.done("setup")["started_anew"]
    assert command.done("full-load")["rows"] == 100
    assert command.done("full-load", "--table", "public.t")["ready_count"] == 1

    databases.source_admin.execute(
        "update public.t set v = 'w' where id < 10; delete from public.t where id > 90"
    )
    assert command.done("capture", "--until-caught-up")["end_reason"] == "caught_up"
    assert command.done("apply", "--until-caught-up")["change_count"] == 19
    command.assert_equal()

    make_table(databases, "added", 7)
    refreshed = command.done("refresh")
    assert refreshed["added"] == ["public.added"]
    assert refreshed["full_load"]["rows"] == 7
    command.assert_equal()

    assert command.done("validate")["is_good"]
    databases.target_admin.execute("delete from public.t where id = 50")
    differing = command.run("validate")
    assert (differing.code, "public.t (different)" in differing.last_line) == (1, True)
    assert command.done("validate", "--repair", "--table", "public.t")["repaired_count"] == 1
    command.assert_equal()

    databases.target_admin.execute("delete from public.t")
    assert command.done("reload", "--table", "public.t")["rows"] == 90
    assert command.done("status")["lag"]["apply_bytes"] == 0
    command.assert_equal()

    databases.source_admin.execute("select setval('public.t_n_seq', 500)")
    assert sum(entry["was_set"] for entry in command.done("sync-sequences")["sequences"]) == 1
    assert databases.target_admin.fetch_value("select nextval('public.t_n_seq')") == 501

    assert command.done("sweep") == {"orphan_count": 0, "removed_count": 0, "orphans": []}
    torn_down = command.done("teardown")
    assert torn_down == {
        "slot_dropped": True, "publication_dropped": True, "task_deleted": True, "metadata_dropped": True
    }  # fmt: skip
    assert leftovers(command) == []


def leftovers(command) -> list[str]:
    name, source, target = command.task_name, command.databases.source, command.databases.target
    left = [
        *source.fetch_all(
            "select slot_name::text from pg_replication_slots where slot_name = %s", [f"trempy_{name}"]
        ),
        *source.fetch_all("select pubname::text from pg_publication"),
        *target.fetch_all("select nspname::text from pg_namespace where nspname = 'trempy'"),
    ]
    broker = RabbitMqBroker(lambda: RabbitMqParameters.from_uri(command.rabbitmq_uri), task_name=name)
    try:
        left.append(broker.depths())
    except TopologyError:
        return left
    return left


def test_text_reports_name_table_state_and_lag(databases, trempy):
    make_table(databases)
    command = trempy("public.t")

    ran = command.run("run", "--until-caught-up")
    told = command.run("status")
    (table,) = command.done("status")["tables"]

    assert ran.code == told.code == 0
    assert "end reason" in ran.stdout
    assert "state       idle" in told.stdout
    assert "public.t  ready  100" in " ".join(told.stdout.split()).replace(
        "public.t ready 100", "public.t  ready  100"
    )
    assert told.stdout.split()[-1] == table["snapshot_lsn"]
    assert "of WAL to capture, 0 B to apply" in told.stdout


def test_reload_of_everything_starts_from_zero(databases, trempy):
    make_table(databases)
    command = trempy("public.t")
    command.done("run", "--until-caught-up")
    databases.target_admin.execute("delete from public.t where id < 50")

    assert command.done("reload")["rows"] == 100

    command.assert_equal()


def test_full_load_task_is_run_without_a_broker(databases, trempy):
    make_table(databases)
    command = trempy("public.t", task={"replication_type": "full_load"})
    environment = {key: text for key, text in command.environment.items() if key != "TREMPY_BROKER"}

    first = command.run("run", "--json", environment=environment)
    second = command.run("run", "--json", environment=environment)
    refused = command.run("capture", environment=environment)

    assert (first.code, second.code) == (0, 0)
    assert first.report["full_load"]["rows"] == 100
    assert second.report["full_load"]["ready_count"] == 1
    assert refused.code == 2
    assert "follows no changes" in refused.last_line
    command.assert_equal()


def test_connections_are_read_from_airflows_variables(databases, trempy):
    make_table(databases)
    command = trempy(
        "public.t", task={"source_conn_id": "shop", "target_conn_id": "copy", "replication_type": "full_load"}
    )
    environment = {key: text for key, text in command.environment.items() if not key.startswith("TREMPY_")}
    environment["AIRFLOW_CONN_SHOP"] = databases.source_uri.replace("postgresql://", "postgres://")
    environment["AIRFLOW_CONN_COPY"] = json.dumps(as_airflow_json(databases.target_uri))

    result = command.run("run", environment=environment)

    assert result.code == 0, result.stderr
    command.assert_equal()


def as_airflow_json(uri: str) -> dict[str, object]:
    parts = urlsplit(uri)
    return {
        "conn_type": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "login": parts.username,
        "password": unquote(parts.password or ""),
        "schema": parts.path[1:],
    }


def test_check_lists_what_is_in_the_way(databases, trempy):
    databases.source_admin.execute("create table public.t (id int)")
    command = trempy("public.t")

    result = command.run("check")

    assert result.code == 1
    assert "public.t" in result.stdout
    assert result.last_line.startswith("error: ")
    assert " — " in result.last_line
    assert "Traceback" not in result.stderr


def test_errors_have_code_one_and_say_what_to_do(databases, trempy):
    make_table(databases)
    command = trempy("public.t")

    not_set_up = command.run("capture", "--until-caught-up")
    nowhere = command.environment | {"TREMPY_TARGET": "postgresql://nobody@127.0.0.1:1/nothing"}
    unreachable = command.run("status", environment=nowhere)
    wrong_table = command.done("setup") and command.run("full-load", "--table", "public.other")

    assert not_set_up.code == 1
    assert not_set_up.last_line.endswith("Run `trempy setup`. [MetadataError]")
    assert unreachable.code == 1
    assert "127.0.0.1:1" in unreachable.last_line
    assert wrong_table.code == 2
    assert "public.other" in wrong_table.last_line
    assert not any("Traceback" in result.stderr for result in (not_set_up, unreachable, wrong_table))


def test_debug_shows_the_traceback(databases, trempy):
    result = trempy("public.missing").run("setup", "--debug")

    assert result.code == 1
    assert "Traceback" in result.stderr
    assert result.last_line.startswith("error: ")


def test_uris_on_the_command_line_reach_the_halves_of_run(databases, trempy):
    make_table(databases)
    command = trempy("public.t")
    environment = {key: text for key, text in command.environment.items() if not key.startswith("TREMPY_")}
    uris = [
        "--source",
        databases.source_uri,
        "--target",
        databases.target_uri,
        "--broker",
        command.rabbitmq_uri,
    ]

    process = command.start("run", "--for", "1", *uris, environment=environment)
    result = finish(process)

    assert result.code == 0, result.stderr
    command.assert_equal()
