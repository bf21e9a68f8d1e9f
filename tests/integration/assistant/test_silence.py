"""Drafting and dry runs log no secret, no connection and no value of a row, whatever level is listened to."""

import json
import logging
from urllib.parse import urlsplit

import pytest

from tests.support.databases import DatabasePair
from tests.support.every_log import collecting_logs
from tests.support.model_server import API_KEY, MODEL, Answered, model_server, settings_answer
from tests.support.tasks import make_endpoint
from trempy_provider.assistant.language_models import open_model
from trempy_provider.assistant.suggest import read_grounds, suggest
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.dry_run import dry_run

PASSWORD = "canary-of-the-password"
ROW = "canary-of-a-row"
ORDERS = {"schema_name": "shop", "table_name": "orders"}
NOTES = {"schema_name": "shop", "table_name": "notes"}
TABLES = f"""
create schema shop;
create table shop.orders (id int primary key, note text, code text);
insert into shop.orders select g, '{ROW} ' || g, '{ROW}' from generate_series(1, 30) g;
create table shop.notes (id int primary key, note text);
insert into shop.notes values (1, '{ROW}');
comment on table shop.orders is 'copied by postgresql://joe:{PASSWORD}@db.internal/erp';
analyze;
"""


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(TABLES)
    databases.target_admin.execute(  # the rows of notes do not fit
        "create schema shop; grant usage, create on schema shop to public;"
        " create table shop.notes (id int primary key, note int);"
        " grant select, insert, update, delete, truncate on shop.notes to public"
    )
    return databases


def test_no_secret_connection_or_row_value_is_logged(shop: DatabasePair) -> None:
    pytest.importorskip("pydantic_ai", reason="the extra `ai` is not installed")
    source_uri, target_uri = shop.source_uri, shop.target_uri
    passwords = [urlsplit(uri).password for uri in (source_uri, target_uri)]
    assert all(passwords)
    source = make_endpoint(source_uri, "suggest", "source")
    target = make_endpoint(target_uri, "suggest", "target")
    filters = [
        {"table_info": ORDERS, "settings": {"filter_type": "less_than", "column_name": "id", "value": 9}}
    ]
    good = {
        "task": {"task_name": "drafted", "create_table_if_not_exists": True},
        "tables": [ORDERS, NOTES],
        "filters": filters,
    }
    wrong = {**good, "task": {**good["task"], "mode": "x"}}
    answers = (
        Answered(tool="advise", arguments={"request": "copy shop.orders"}),
        Answered(tool="describe_table", arguments=ORDERS),
        settings_answer(wrong),
        settings_answer(good),
    )

    with collecting_logs() as log, model_server(*answers) as server:
        drafter = open_model(api_key=API_KEY, base_url=server.base_url, model_name=MODEL)
        grounds = read_grounds(source, target=target)
        draft = suggest(f"copy orders from {source_uri}", grounds, drafter=drafter)
        server.answers[:] = [Answered(status=401)]
        fallen_back = suggest(f"copy shop.orders from {source_uri}", grounds, drafter=drafter)
        assert draft.task is not None
        report = dry_run(draft.task, source=source, target=target, shown_rows=0)
        with pytest.raises(TrempyError):
            read_grounds(make_endpoint(source_uri + "_x", "suggest", "source"))
        logging.getLogger("trempy_provider").debug("the end")

    assert len(server.requests) == 5
    assert "names no table" not in str(fallen_back.warnings)
    assert [trial.error is None for trial in report.tables] == [False, True]
    assert "httpcore" in "".join(logging.root.manager.loggerDict)
    logged = log.getvalue()
    assert "the end" in logged and "HTTP Request: POST" in logged  # the clients' own records are among them
    host = urlsplit(source_uri).netloc.rpartition("@")[2]
    told = json.dumps(report.as_dict()) + str(fallen_back)
    for canary in (*passwords, PASSWORD, ROW, API_KEY, source_uri, target_uri, "db.internal", host):
        assert canary not in logged, canary
        assert canary not in told, canary
