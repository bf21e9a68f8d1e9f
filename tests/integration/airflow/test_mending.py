"""Dead letters and skipping from Airflow: operators, and the functions of `airflow trempy`."""

import json
from argparse import Namespace
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.integration.airflow.conftest import make_settings
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.dead_letters import TrempyDeadLettersOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.skip import TrempySkipOperator
from trempy_provider.operators.status import TrempyStatusOperator
from trempy_provider.plugins import run_command

CONTEXT = {"dag_run": SimpleNamespace(start_date=None), "params": {}}


@pytest.fixture
def stopped(connections, task_name, define_task):
    """Return a function that runs operators and commands of a task whose apply has stopped at a row."""
    settings = make_settings(task_name) | {"error_handling": {"stop_if_insert_error": True}}
    define_task(settings)
    connections.source_admin.execute("create table public.orders (id bigint primary key, note text)")
    connections.target_admin.execute(
        "create table public.orders (id bigint primary key, note text check (note <> 'secret'))"
    )

    def run(what, **arguments):
        if callable(what) and not isinstance(what, type):
            return what(Namespace(task_name=task_name, **arguments))
        return what(task_id="tested", settings=settings, **arguments).execute(CONTEXT)

    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    connections.source_admin.execute("insert into public.orders values (1, 'secret')")
    for operator in (TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(BaseException) as raised:  # noqa: PT011  # one defers, the other fails
            run(operator)
    assert isinstance(raised.value, AirflowFailException)
    run.error = raised.value
    return run


def test_operators_list_and_replay_without_a_row_in_their_results(stopped, connections):
    listed = stopped(TrempyDeadLettersOperator)
    with pytest.raises(AirflowFailException, match="orders_note_check"):
        stopped(TrempyDeadLettersOperator, action="replay")
    status = stopped(TrempyStatusOperator)
    connections.target_admin.execute("alter table public.orders drop constraint orders_note_check")
    replayed = stopped(TrempyDeadLettersOperator, action="replay")

    assert [letter["state"] for letter in listed["dead_letters"]] == ["waiting"]
    assert [letter["outcome"] for letter in replayed["dead_letters"]] == ["applied"]
    assert status["stop_reason"].startswith("apply: ")
    assert connections.target.fetch_all("select note from public.orders") == [("secret",)]
    assert "secret" not in json.dumps([listed, status, replayed]) + str(stopped.error)


def test_operators_skip_and_discard_what_is_named(stopped, connections):
    lsn = str(stopped.error).split("--lsn ")[1].split("`")[0]
    (letter,) = stopped(TrempyDeadLettersOperator)["dead_letters"]

    assert stopped(TrempySkipOperator, lsn=lsn)["skip_lsn"] == lsn
    assert stopped(TrempySkipOperator, lsn="")["former_skip_lsn"] == lsn
    with pytest.raises(AirflowFailException, match="has to be named"):
        stopped(TrempyDeadLettersOperator, action="discard")
    with pytest.raises(AirflowFailException, match="expected one of"):
        stopped(TrempyDeadLettersOperator, action="burn")
    discarded = stopped(TrempyDeadLettersOperator, action="discard", message_ids=[letter["message_id"]])

    assert [entry["outcome"] for entry in discarded["dead_letters"]] == ["discarded"]
    assert stopped(TrempyDeadLettersOperator)["dead_letters"] == []


def test_commands_of_airflow_do_the_same(stopped, connections, capsys):
    def report(command, **arguments):
        capsys.readouterr()
        stopped(command, **arguments)
        return json.loads(capsys.readouterr().out)

    (letter,) = report(run_command.run_dead_letters_list)["dead_letters"]
    shown = report(run_command.run_dead_letters_show, message_id=letter["message_id"], limit=10)
    with pytest.raises(SystemExit) as failed:
        stopped(run_command.run_dead_letters_replay, message_ids=[])
    with pytest.raises(SystemExit) as wrong:
        stopped(run_command.run_skip, lsn=None, none=False)
    skipped = report(run_command.run_skip, lsn=shown["changes"][0]["commit_lsn"], none=False)
    discarded = report(run_command.run_dead_letters_discard, message_ids=[letter["message_id"]])

    assert shown["changes"][0]["new"] == {"id": "1", "note": "secret"}
    assert (failed.value.code, wrong.value.code) == (1, 2)
    assert skipped["skip_lsn"] == shown["changes"][0]["commit_lsn"]
    assert [entry["outcome"] for entry in discarded["dead_letters"]] == ["discarded"]


def test_checks_that_find_errors_end_airflows_commands_with_code_one(
    connections, task_name, define_task, capsys, monkeypatch
):
    define_task(make_settings(task_name))  # there is no such table
    arguments = Namespace(task_name=task_name, restart=False)

    with pytest.raises(SystemExit) as checked:
        run_command.run_check(arguments)
    told = capsys.readouterr()
    with pytest.raises(SystemExit) as set_up:
        run_command.run_setup(arguments)
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_TARGET", "postgres://a:b@127.0.0.1:1/c")
    with pytest.raises(SystemExit) as unknown:
        run_command.run_status(arguments)

    assert json.loads(told.out)["findings"][0]["where"] == "source table public.orders"
    assert told.err.startswith("error: ")
    assert [raised.value.code for raised in (checked, set_up, unknown)] == [1, 1, 1]
