"""What is wrong with arguments, settings or connections is exit code 2, and said in the last line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trempy_provider.cli import main

ROOT = Path(__file__).parents[3]
GOOD = {"task": {"task_name": "shop"}, "tables": [{"schema_name": "public", "table_name": "t"}]}


@pytest.fixture
def write(tmp_path, monkeypatch):
    for name in ("TREMPY_SOURCE", "TREMPY_TARGET", "TREMPY_BROKER"):
        monkeypatch.delenv(name, raising=False)

    def write(text) -> str:
        path = tmp_path / "shop.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(path)

    return write


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["chekc", "x.json"], "invalid choice: 'chekc'"),
        (["check"], "the following arguments are required: SETTINGS.json"),
        (["capture", "x.json", "--for", "soon"], "'soon' is not a number of seconds"),
        (["capture", "x.json", "--for", "-1"], "is not a number of seconds"),
        (["apply", "x.json", "--for", "nan"], "'nan' is not a number of seconds"),
        (["run", "x.json", "--for", "1", "--until-caught-up"], "not allowed with argument --for"),
        (["setup", "x.json", "--table", "a.b"], "unrecognized arguments: --table a.b"),
        (["full-load", "x.json", "--table"], "expected at least one argument"),
        (["status", "x.json", "--js"], "unrecognized arguments: --js"),
    ],
)
def test_wrong_arguments_are_refused_with_a_last_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    line = last_line(capsys)
    assert ended.value.code == 2
    assert line.startswith("error: ")
    assert words in line
    assert "--help` explains" in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{", "not JSON"),
        ("[]", "an object"),
        ({**GOOD, "tasks": 1}, "tasks"),
        ({"task": {"task_name": "Shop"}, "tables": GOOD["tables"]}, "task.task_name"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run", "status", "teardown"])
def test_wrong_settings_are_refused_with_file_and_field_in_the_last_line(
    command, settings, words, write, capsys
):
    path = write(settings)

    assert main([command, path]) == 2

    line = last_line(capsys)
    assert line.startswith(f"error: {path}: ")
    assert words in line
    assert " — " in line


def test_several_problems_are_listed_above_the_last_line(write, capsys):
    path = write({"task": {"task_name": "A B", "owner": 1}, "tables": []})

    assert main(["check", path]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert any("task.owner" in line for line in lines[:-1])
    assert any("tables" in line for line in lines[:-1])
    assert "3 problems" in lines[-1]


def test_settings_that_cannot_be_read_are_named(tmp_path, capsys):
    assert main(["check", str(tmp_path / "missing.json")]) == 2

    assert "missing.json cannot be read: No such file" in last_line(capsys)


def test_missing_connection_names_all_its_sources(write, capsys):
    assert main(["check", write(GOOD)]) == 2

    line = last_line(capsys)
    assert "no source is given" in line
    assert "TREMPY_SOURCE or AIRFLOW_CONN_TREMPY_SOURCE, or give --source URI" in line


def test_wrong_uri_is_refused_without_its_password(write, capsys):
    assert main(["check", write(GOOD), "--source", "mysql://joe:secret@host/db"]) == 2

    output = capsys.readouterr()
    assert "secret" not in output.err + output.out


@pytest.mark.parametrize(("options", "described"), [([], "task"), (["--messages"], "messages")])
def test_schema_is_printed(capsys, options, described):
    assert main(["schema", *options]) == 0

    assert described in json.loads(capsys.readouterr().out)["properties"]


def test_defect_is_told_without_a_traceback(write, capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("trempy_provider.cli.execution.make_invocation", fail)

    assert main(["check", write(GOOD)]) == 1

    output = capsys.readouterr().err
    assert "unexpected KeyError" in output
    assert "Traceback" not in output


def test_help_names_every_command_and_the_environment(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "TREMPY_SOURCE" in text
    assert "AIRFLOW_CONN_TREMPY_BROKER" in text
    for name in [
        "check",
        "setup",
        "full-load",
        "capture",
        "apply",
        "run",
        "refresh",
        "status",
        "reload",
        "teardown",
        "schema",
    ]:
        assert name in text


def test_airflow_is_never_imported():
    program = (
        "import sys, importlib, pkgutil, trempy_provider.cli as cli\n"
        "for module in pkgutil.iter_modules(cli.__path__):\n"
        "    importlib.import_module(f'trempy_provider.cli.{module.name}')\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'airflow', 'pandas', 'sqlalchemy'}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() == "[]"


def test_help_imports_neither_drivers_nor_pydantic():
    program = "import sys; from trempy_provider.cli import arguments; print({'pydantic', 'psycopg2', 'pika'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() == "set()"
