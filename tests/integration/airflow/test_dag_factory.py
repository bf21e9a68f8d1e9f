import gc
import json
import socket
from contextlib import suppress

import pytest
from airflow.sdk import DAG

from tests.integration.airflow.conftest import make_settings
from trempy_provider import dag_factory
from trempy_provider.config.loader import load_task
from trempy_provider.dag_factory import build_dags, dags_of, raise_settings_errors
from trempy_provider.errors import SettingsError
from trempy_provider.hooks import settings as settings_module

KINDS = ("full_load", "cdc", "validate", "cutover", "monitor", "maintenance")


class Variables:
    """Airflow's Variables in memory; counts the look-ups."""

    def __init__(self):
        self.values = {}
        self.looked_up = []

    def get(self, key, default=None):
        self.looked_up.append(key)
        return self.values.get(key, default)

    def keys(self, prefix):
        return [key for key in self.values if key.startswith(prefix)]

    def add(self, settings):
        self.values[f"trempy_task_{settings['task']['task_name']}"] = json.dumps(settings)


@pytest.fixture
def variables(monkeypatch):
    variables = Variables()
    monkeypatch.setattr(settings_module, "Variable", variables)
    return variables


def test_each_task_gets_the_dags_of_its_type(variables):
    variables.add(make_settings("both"))
    variables.add(make_settings("rows", replication_type="full_load"))
    variables.add(make_settings("changes", replication_type="cdc"))

    assert set(build_dags()) == {
        "trempy_both_full_load",
        "trempy_both_cdc",
        "trempy_both_validate",
        "trempy_both_cutover",
        "trempy_both_monitor",
        "trempy_both_maintenance",
        "trempy_rows_full_load",
        "trempy_rows_maintenance",
        "trempy_changes_cdc",
        "trempy_changes_validate",
        "trempy_changes_cutover",
        "trempy_changes_monitor",
        "trempy_changes_maintenance",
    }


@pytest.mark.parametrize("fails", [False, True])
def test_python_looks_for_no_garbage_while_dags_are_made_and_does_afterwards(variables, monkeypatch, fails):
    seen = []

    def dags(_task, **_):
        seen.append(gc.isenabled())
        if fails:
            raise RuntimeError("no DAG")
        return iter(())

    variables.add(make_settings("both"))
    monkeypatch.setattr(dag_factory, "dags_of", dags)
    with suppress(RuntimeError):
        build_dags()

    assert seen == [False]
    assert gc.isenabled()


def test_broken_task_is_named_and_leaves_the_others_alone(variables):
    variables.add(make_settings("first"))
    variables.add(make_settings("second"))
    broken = make_settings("third")
    broken["task"]["start_mode"] = "sometimes"
    variables.add(broken)

    dags = build_dags()
    with pytest.raises(SettingsError) as caught:
        raise_settings_errors()

    assert set(dags) == {f"trempy_{name}_{kind}" for name in ("first", "second") for kind in KINDS}
    assert "Variable trempy_task_third" in str(caught.value)
    assert "task.start_mode" in str(caught.value)


def test_parsing_costs_one_look_up_and_one_for_each_variable(variables):
    for name in ("first", "second", "third"):
        variables.add(make_settings(name))
    variables.values["trempy_tasks"] = json.dumps({n: make_settings(n) for n in ("fourth", "fifth")})

    dags = build_dags()

    assert len(dags) == 5 * len(KINDS)
    assert sorted(variables.looked_up) == [
        "trempy_task_first", "trempy_task_second", "trempy_task_third", "trempy_tasks",
    ]  # fmt: skip


def test_worker_reads_its_own_task_only(variables, monkeypatch):
    for name in ("first", "second", "third"):
        variables.add(make_settings(name))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "trempy_second_cdc")

    dags = build_dags()

    assert "trempy_second_cdc" in dags
    assert variables.looked_up == ["trempy_task_second"]


def test_worker_of_another_dag_reads_nothing(variables, monkeypatch):
    variables.add(make_settings("first"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "sales_report")

    assert build_dags() == {}
    assert variables.looked_up == []


def test_parsing_opens_no_connection(variables, monkeypatch):
    variables.add(make_settings("first"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host, port = listener.getsockname()
        for name, scheme in (("SOURCE", "postgres"), ("TARGET", "postgres"), ("BROKER", "rabbitmq")):
            monkeypatch.setenv(f"AIRFLOW_CONN_TREMPY_{name}", f"{scheme}://a:b@{host}:{port}/c")

        dags = build_dags()

        with pytest.raises(BlockingIOError):  # nobody has called
            listener.accept()
    assert len(dags) == len(KINDS)


def test_tasks_come_from_a_folder_where_there_are_no_variables(variables, monkeypatch, tmp_path):
    (tmp_path / "first.json").write_text(json.dumps(make_settings("first")))
    (tmp_path / "second.json").write_text(json.dumps(make_settings("other")))
    (tmp_path / "third.json").write_bytes(b"\xff")
    monkeypatch.setenv("TREMPY_TASKS_FOLDER", str(tmp_path))

    assert set(build_dags()) == {f"trempy_first_{kind}" for kind in KINDS}
    with pytest.raises(SettingsError, match=r"(?s)second\.json: task\.task_name.*third\.json.*not UTF-8"):
        raise_settings_errors()


@pytest.mark.parametrize("text", ["[1]", "{", '{"second": {}, "second": {}}'])
def test_variable_of_all_tasks_that_cannot_be_read_leaves_the_others_alone(variables, text):
    variables.add(make_settings("first"))
    variables.values["trempy_tasks"] = text

    assert set(build_dags()) == {f"trempy_first_{kind}" for kind in KINDS}
    with pytest.raises(SettingsError, match="Variable trempy_tasks"):
        raise_settings_errors()


def test_broken_tasks_of_the_variable_of_all_tasks_are_named_and_leave_the_others_alone(variables):
    tasks = {name: make_settings(name) for name in ("orders", "renamed")}
    text = json.dumps({**tasks, "list": []}).replace('"renamed",', '"other",')
    twice = json.dumps(make_settings("twice")).replace(
        '"task_name"', '"owner": "a", "owner": "b", "task_name"'
    )
    variables.values["trempy_tasks"] = f'{text[:-1]}, "twice": {twice}}}'

    assert set(build_dags()) == {f"trempy_orders_{kind}" for kind in KINDS}
    with pytest.raises(SettingsError) as caught:
        raise_settings_errors()

    for problem in ("task renamed: task.task_name is 'other'", "task list: ", "task.owner: is written twice"):
        assert problem in str(caught.value)


def test_announcement_is_tried_again_since_only_the_same_announcer_tells_it_again():
    dags = {dag.dag_id: dag for dag in dags_of(load_task(make_settings("shop"), origin="test"))}
    monitoring = dags["trempy_shop_monitor"]

    assert monitoring.get_task("announce").retries == 3
    assert monitoring.get_task("monitor").retries == 0


def test_dags_carry_what_the_settings_say():
    settings = make_settings("shop", max_consecutive_failures=2)
    settings["task"] |= {"description": "The shop.", "owner": "ann"}
    settings["task"]["full_load_settings"] = {"schedule": "@daily"}

    settings["task"]["validation_settings"] = {"schedule": "@weekly", "repair": True}

    full_load, cdc, validation, *_ = dags_of(load_task(settings, origin="test"))

    assert isinstance(full_load, DAG)
    assert full_load.schedule == "@daily"
    assert full_load.params["reload"] is True
    assert full_load.params["tables"] == []
    assert cdc.schedule == "@continuous"
    assert (cdc.max_active_runs, cdc.max_consecutive_failed_dag_runs) == (1, 2)
    assert validation.schedule == "@weekly"
    assert validation.params["repair"] is True
    for dag in (full_load, cdc, validation):
        assert dag.description == "The shop."
        assert dag.owner == "ann"
        assert {"trempy", "shop"} <= dag.tags
        assert "`public.orders`" in dag.doc_md


def test_callbacks_are_given_to_every_task_of_every_dag(variables):
    variables.add(make_settings("first"))

    def notify(context):
        """Tell somebody."""

    dags = build_dags(default_args={"on_failure_callback": notify})

    tasks = [task for dag in dags.values() for task in dag.tasks]
    callbacks = [
        t.partial_kwargs["on_failure_callback"] if t.is_mapped else t.on_failure_callback for t in tasks
    ]
    assert len(dags) == len(KINDS)
    assert callbacks == [[notify]] * len(tasks)
    assert {task.owner for task in tasks} == {"trempy"}


def test_monitor_runs_by_its_schedule_and_announces_beside_it():
    settings = make_settings("shop")
    settings["task"]["monitor_settings"] = {"schedule": "@hourly"}

    *_, monitor = dags_of(load_task(settings, origin="test"))

    assert monitor.schedule == "@hourly"
    assert {task.task_id: task.downstream_task_ids for task in monitor.tasks} == {
        "announce": set(),
        "monitor": set(),
    }
    assert monitor.get_task("monitor").retries == 0


def test_capture_and_apply_run_beside_each_other_after_setup():
    _, cdc, *_ = dags_of(load_task(make_settings("shop"), origin="test"))

    assert cdc.get_task("setup").downstream_task_ids == {"capture", "apply"}
    assert cdc.get_task("capture").downstream_task_ids == set()


def test_task_that_follows_changes_is_loaded_table_by_table_and_any_other_as_a_whole():
    mapped, *_ = dags_of(load_task(make_settings("shop"), origin="test"))
    whole, *_ = dags_of(load_task(make_settings("shop", replication_type="full_load"), origin="test"))

    assert mapped.get_task("full_load").is_mapped
    assert not whole.get_task("full_load").is_mapped
