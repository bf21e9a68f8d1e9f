"""The assistant reads names, types, keys, references, sizes and statistics; values only where allowed."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT
from tests.support.model_server import API_KEY, MODEL, model_server, settings_answer
from tests.support.tasks import make_endpoint, make_source, make_target, make_task
from trempy_provider.assistant.history import read_history
from trempy_provider.assistant.reading import read_catalogue
from trempy_provider.assistant.suggest import Grounds, suggest
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.cli import main, suggesting
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.teardown import teardown
from trempy_provider.postgres.tables import QualifiedName

SHOP_LOG = {"schema_name": "shop", "table_name": "log"}
TABLES = """
create schema shop;
create table shop.customers (id int primary key, name text not null, state char(2), secret_note text);
create table shop.orders (
    id bigint primary key, customer_id int references shop.customers, parent bigint references shop.orders,
    twice int generated always as (customer_id * 2) stored, body text);
create table shop.log (at timestamptz, line varchar(20));
create table shop.parts (id int primary key, v int) partition by range (id);
create table shop.parts_1 partition of shop.parts for values from (0) to (100);
create view shop.glance as select 1 as one;
comment on table shop.customers is 'who buys';
comment on column shop.customers.state is 'as in the address';
insert into shop.customers
    select g, 'n' || g, case when g % 2 = 0 then 'RJ' else 'SP' end, 'private ' || g from generate_series(1, 200) g;
insert into shop.orders (id, customer_id, body) select g, g, 'b' from generate_series(1, 200) g;
analyze;
"""


@pytest.fixture
def shop(databases):
    databases.source_admin.execute(TABLES)
    return databases


def table(catalogue, name):
    return catalogue.find(QualifiedName("shop", name))


def test_catalogue_has_what_a_draft_is_grounded_in_and_no_value_unless_allowed(shop, task_name):
    catalogue = read_catalogue(make_source(shop), target=make_target(shop), allow_values=False)

    assert [str(each.name) for each in catalogue.tables] == [
        "shop.customers", "shop.log", "shop.orders", "shop.parts",
    ]  # fmt: skip
    customers, orders = table(catalogue, "customers"), table(catalogue, "orders")
    assert customers.comment == "who buys"
    assert customers.primary_key == ("id",)
    assert customers.estimated_rows == 200
    state = next(column for column in customers.columns if column.name == "state")
    assert (state.type_name, state.comment, state.distinct_count) == ("character(2)", "as in the address", 2)
    assert customers.average_row_bytes
    assert orders.references == (QualifiedName("shop", "customers"),)
    assert orders.unsent_columns == ("body",)
    assert [column.name for column in orders.columns if column.is_generated] == ["twice"]
    assert not table(catalogue, "log").identifies_rows
    assert table(catalogue, "log").average_row_bytes is None
    assert catalogue.obstacles_to_capture == ()
    assert catalogue.present_on_target == frozenset()
    assert "RJ" not in repr(catalogue)

    allowed = read_catalogue(make_source(shop), allow_values=True)
    state = next(column for column in table(allowed, "customers").columns if column.name == "state")
    assert sorted(state.common_values) == ["RJ", "SP"]
    assert "private" not in repr(allowed)  # as many values as rows
    assert allowed.present_on_target is None


def test_history_is_what_the_tasks_have_measured(shop, task_name):
    task = make_task(task_name, ["customers", "orders"], replication_type="full_load")
    source, target = make_source(shop, task_name), make_target(shop, task_name)
    assert read_history(target, [task]).tasks[0].loads == ()
    setup(task, source=source, target=target)
    full_load(task, source=source, target=target, stop=StopSignal())

    history = read_history(target, [task])

    (known,) = history.tasks
    assert known.settings is task
    assert {str(load.name): load.rows for load in known.loads} == {"shop.customers": 200, "shop.orders": 200}
    assert known.load_bytes_per_second > 0
    assert history.similar_to([QualifiedName("shop", "orders")]) == (known,)
    assert history.similar_to([QualifiedName("shop", "log")]) == ()
    draft = suggest("copy shop.orders", Grounds(read_catalogue(source, allow_values=False), history))
    assert draft.task.task_name == "shop_orders"


def test_history_is_read_from_the_metadata_database_too(shop, task_name, metadata_database, rabbitmq_uri):
    task = make_task(task_name, ["customers"], metadata_conn_id="elsewhere")
    metadata = make_endpoint(metadata_database.uri, task_name, "metadata")
    source = make_source(shop, task_name)
    target = make_endpoint(shop.target_uri, task_name, "target", metadata=metadata)
    parameters = RabbitMqParameters.from_uri(rabbitmq_uri)
    broker = RabbitMqBroker(lambda: parameters, task_name=task_name)
    setup(task, source=source, target=target, broker=broker)
    try:
        full_load(task, source=source, target=target, stop=StopSignal())
        metadata_database.execute(
            "update trempy.capture_progress set batch_count = 4, change_count = 40 where task_name = %s",
            [task_name],
        )
        (known,) = read_history(target, [task]).tasks
        (half,) = read_history(make_target(shop, task_name), [task]).tasks
    finally:
        teardown(task, source=source, target=target, broker=broker)

    assert known.captures_changes
    assert known.changes_per_batch == 10
    assert [load.rows for load in known.loads] == [200]
    assert not half.captures_changes


def run(shop, *arguments, stdin=subprocess.DEVNULL, folder, **environment):
    command = [sys.executable, "-m", "trempy_provider.cli", "suggest", *arguments]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TREMPY_", "AIRFLOW_CONN_"))}
    known = {"PYTHONPATH": str(ROOT), "TREMPY_SOURCE": shop.source_uri, "TREMPY_TARGET": shop.target_uri}
    return subprocess.run(
        command,
        env=inherited | known | environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )


def test_the_command_drafts_and_saves_only_what_a_person_confirms(shop, tmp_path):
    words = "replicate shop.orders and shop.customers"
    saved = tmp_path / "draft.json"

    shown = run(shop, words, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert '+      "table_name": "orders"' in shown.stdout
    assert "shop.orders has large values (body)" in shown.stdout
    assert list(tmp_path.iterdir()) == []

    unconfirmed = run(shop, words, "--save", str(saved), folder=tmp_path)
    assert unconfirmed.returncode == 2
    assert "nobody is there to confirm" in unconfirmed.stderr
    assert not saved.exists()

    assert "not saved" in answered(shop, "n\n", words, "--save", str(saved), folder=tmp_path).stdout
    assert not saved.exists()

    assert "saved as" in answered(shop, "y\n", words, "--save", str(saved), folder=tmp_path).stdout
    assert [entry["table_name"] for entry in json.loads(saved.read_text())["tables"]] == [
        "customers",
        "orders",
    ]

    proved = run(shop, words, "--dry-run", "--json", folder=tmp_path)
    assert proved.returncode == 0, proved.stderr
    trials = {each["source"]: each for each in json.loads(proved.stdout)["dry_run"]["tables"]}
    assert trials["shop.customers"]["passing_rows"] == 200
    assert shop.target_admin.fetch_value("select to_regclass('shop.customers')") is None

    # What is there already is never overwritten unseen: the draft is a change of it.
    changed = run(shop, "copy shop.log", "--save", str(saved), "--yes", "--json", folder=tmp_path)
    report = json.loads(changed.stdout)
    assert '-      "table_name": "customers"' in report["diff"]
    assert report["settings"]["task"]["task_name"] == "shop"
    assert report["saved"] == str(saved)
    assert set(tmp_path.iterdir()) == {saved}


def test_the_command_does_not_overwrite_a_file_changed_while_the_person_is_asked(
    shop, tmp_path, monkeypatch, capsys
):
    saved = tmp_path / "draft.json"
    saved.write_text(json.dumps({"task": {"task_name": "mine"}, "tables": [SHOP_LOG]}))

    def change_and_confirm(_question):
        saved.write_text("changed")
        return True

    monkeypatch.setattr(suggesting, "confirm", change_and_confirm)
    monkeypatch.setenv("TREMPY_SOURCE", shop.source_uri)

    assert main(["suggest", "copy shop.log", "--no-model", "--save", str(saved)]) == 2

    assert "was changed by somebody else since the draft was made" in capsys.readouterr().err
    assert saved.read_text() == "changed"


def answered(shop, answer, *arguments, folder):
    """Run the command in a terminal where somebody answers."""
    master, slave = pty.openpty()
    try:
        os.write(master, answer.encode())
        return run(shop, *arguments, stdin=slave, folder=folder)
    finally:
        os.close(master)
        os.close(slave)


def test_the_command_knows_the_tasks_of_the_settings_folder(shop, tmp_path):
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "broken.json").write_text("{")
    (tasks / "shop.json").write_text(
        json.dumps(
            {
                "task": {"task_name": "shop_customers"},
                "tables": [
                    {"schema_name": "shop", "table_name": "customers", "exclude_columns": ["secret_note"]}
                ],
            }
        )
    )

    result = run(shop, "copy shop.customers", "--json", folder=tmp_path, TREMPY_TASKS_FOLDER=str(tasks))

    drafted = json.loads(result.stdout)["settings"]
    assert drafted["task"]["task_name"] == "shop_customers_2"
    assert drafted["tables"][0]["exclude_columns"] == ["secret_note"]


def test_a_terminal_cannot_be_acted_on_by_a_name(shop, tmp_path: Path):
    shop.source_admin.execute('create table shop."a\x1b[2Jb" (id int primary key)')

    result = run(shop, "copy the schema shop", folder=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_the_command_asks_the_model_of_a_connection_and_sends_it_no_row(shop, tmp_path):
    pytest.importorskip("pydantic_ai", reason="the extra `ai` is not installed")
    table = {"schema_name": "shop", "table_name": "customers"}
    filters = [
        {"table_info": table, "settings": {"filter_type": "equals", "column_name": "state", "value": "RJ"}}
    ]
    good = {"task": {"task_name": "rio"}, "tables": [table], "filters": filters}
    wrong = {**good, "tables": [table, {"schema_name": "shop", "table_name": "clients"}]}
    words = "copia los clientes de Río"

    with model_server(settings_answer(wrong), settings_answer(good, {"filters[0]": "Río es RJ"})) as server:
        connection = {"AIRFLOW_CONN_TREMPY_MODEL": server.connection()}
        drafted = run(shop, words, "--json", folder=tmp_path, **connection)
        first = server.sent
        allowed = run(shop, words, "--json", "--allow-values", folder=tmp_path, **connection)
        server.answers[:] = [settings_answer(wrong)]
        refused = run(
            shop, words, "--corrections", "1", "--save", "x.json", "--yes", folder=tmp_path, **connection
        )

    assert drafted.returncode == 0, drafted.stderr
    report = json.loads(drafted.stdout)
    assert (report["settings"], report["author"]) == (good, MODEL)
    assert report["reasons"][0] == {"path": "filters[0]", "text": "Río es RJ"}
    assert "tables[1]: the source has no such table" in first
    for secret in ("private 1", '\\"SP\\"', shop.source_uri, shop.source.role, API_KEY):
        assert secret not in first
        assert secret not in drafted.stderr
    assert '\\"common_values\\": [\\"RJ\\", \\"SP\\"]' in server.sent
    assert "private 1" not in server.sent
    assert allowed.returncode == 0
    # Both come to the person: the draft, and what is wrong with it; it cannot be saved.
    assert refused.returncode == 2
    assert '"table_name": "clients"' in refused.stderr
    assert "tables[1]: the source has no such table" in refused.stderr
    assert not (tmp_path / "x.json").exists()


def test_a_draft_whose_proof_fails_is_not_saved(shop, tmp_path):
    shop.target_admin.execute("create schema shop; create table shop.log (other date not null)")

    failed = run(shop, "copy shop.log", "--dry-run", "--save", "draft.json", "--yes", folder=tmp_path)

    assert failed.returncode != 0
    assert '"table_name": "log"' in failed.stderr
    assert "not saved" in failed.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_model_connection_that_cannot_be_used_is_a_wrong_setting(shop, tmp_path):
    azure = json.dumps({"conn_type": "pydanticai_azure", "password": "x"})

    missing = run(shop, "copy shop.log", "--model-conn-id", "other", folder=tmp_path)
    of_another_type = run(shop, "copy shop.log", folder=tmp_path, AIRFLOW_CONN_TREMPY_MODEL=azure)
    without = run(shop, "copy shop.log", "--no-model", folder=tmp_path, AIRFLOW_CONN_TREMPY_MODEL=azure)

    assert (missing.returncode, of_another_type.returncode, without.returncode) == (2, 2, 0)
    assert "AIRFLOW_CONN_OTHER is not set" in missing.stderr
    assert "`airflow trempy suggest`" in of_another_type.stderr
