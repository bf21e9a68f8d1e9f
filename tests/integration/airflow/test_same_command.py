"""`airflow trempy run` and others like it are `trempy`, with what Airflow knows of the task."""

import json
import os
import subprocess
import sys


def airflow(*words):
    return subprocess.run(
        [sys.executable, "-m", "airflow", "trempy", *words],
        env=os.environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_run_takes_settings_from_the_variable_and_connections_from_airflow(
    connections, settings, define_task, task_name
):
    define_task(settings)
    connections.source_admin.execute("create table public.orders (id bigint primary key)")
    connections.source_admin.execute("insert into public.orders select generate_series(1, 30)")

    ended = airflow("run", task_name, "--until-caught-up")

    report = json.loads(ended.stdout[ended.stdout.index("{") :])
    assert (ended.returncode, report["full_load"]["rows"]) == (0, 30), ended.stderr
    assert connections.target.fetch_value("select count(*) from public.orders") == 30


def test_exit_code_and_last_line_are_those_of_trempy(settings, define_task, task_name):
    define_task({**settings, "task": {**settings["task"], "target_conn_id": "nowhere"}})

    ended = airflow("apply", task_name, "--for", "1")

    assert ended.returncode == 2
    assert "connection 'nowhere' is not defined" in ended.stderr.splitlines()[-1]
