"""Without a model, a draft comes from the catalogue, this installation's tasks and what was measured."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from benchmarks.assistant.cases import CASES
from tests.support.catalogues import name, shop, table
from trempy_provider.assistant.advisor import Grounds, advise
from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.draft import Frame
from trempy_provider.assistant.history import History, TableLoad, TaskHistory
from trempy_provider.assistant.reasons import chosen_paths, reason_for
from trempy_provider.assistant.suggest import suggest
from trempy_provider.config.loader import load_task
from trempy_provider.errors import ConfigurationError, ModelError

MEGABYTE = 1024 * 1024
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def priorities(draft):
    return {f"{each.schema_name}.{each.table_name}": each.priority for each in draft.task.tables}


def reason(draft, path):
    return next(reason.text for reason in draft.reasons if reason.path == path)


def settings(task_name="crm", **parts):
    tables = parts.pop("tables", [{"schema_name": "sales", "table_name": "customers"}])
    task = {"task_name": task_name, "replication_type": "full_load_and_cdc", **parts.pop("task", {})}
    return load_task({"task": task, "tables": tables, **parts}, origin="test")


def test_tables_are_loaded_in_the_order_of_their_references():
    draft = advise("copy all tables of sales", Grounds(shop()))

    # Those at the level of the default priority are in the pattern.
    assert priorities(draft)["sales.customers"] == 0
    assert priorities(draft)["sales.orders"] == 1
    assert priorities(draft)["sales.*"] == 2
    assert "sales.order_items" not in priorities(draft)
    assert "foreign keys" in reason(draft, "tables[].priority")


def test_tables_that_refer_to_each_other_in_a_circle_are_named_and_still_ordered():
    catalogue = Catalogue(
        (
            table("a.x", references=["a.y"]),
            table("a.y", references=["a.x"]),
            table("a.z", references=["a.x", "a.root"]),
            table("a.root"),
        )
    )

    draft = advise("copy a.x, a.y, a.z, a.root", Grounds(catalogue))

    assert priorities(draft) == {"a.root": 0, "a.x": 1, "a.y": 1, "a.z": 2}
    assert any("a.x, a.y refer to each other in a circle" in text for text in draft.warnings)


def test_more_levels_than_priorities_keep_their_order():
    chain = [table(f"a.t{n}", references=[f"a.t{n - 1}"] if n else []) for n in range(12)]

    draft = advise("copy everything except a.t0 and a.t1", Grounds(Catalogue(tuple(chain))))

    levels = [priorities(draft)[f"a.t{n}"] for n in range(2, 12)]
    assert levels == sorted(levels)
    assert set(levels) == {0, 1, 2, 3, 4}


def test_missing_keys_and_large_values_are_warned_of_only_where_changes_are_followed():
    followed = advise("replicate sales.events and sales.products", Grounds(shop()))
    copied = advise("copy sales.events and sales.products once", Grounds(shop()))

    assert any("sales.events has no usable key" in text for text in followed.warnings)
    assert any("sales.products has large values (description)" in text for text in followed.warnings)
    assert not any("has no usable key" in text or "large values" in text for text in copied.warnings)


def test_history_of_a_table_without_a_key_is_warned_of():
    draft = advise("replicate sales.events with full history", Grounds(shop()))

    assert draft.task.cdc.mode == "scd2"
    assert any("sales.events has no primary key, which the mode scd2 needs" in w for w in draft.warnings)


def test_a_source_that_cannot_capture_is_said():
    catalogue = shop(obstacles_to_capture=("wal_level is replica; capturing changes needs logical",))

    draft = advise("replicate sales.orders", Grounds(catalogue))

    assert any("wal_level is replica" in text for text in draft.warnings)


@pytest.mark.parametrize(
    ("size", "streams"),
    [(1 * MEGABYTE, 1), (300 * MEGABYTE, 2), (600 * MEGABYTE, 3), (100_000 * MEGABYTE, 8)],
)
def test_streams_grow_with_the_size_and_its_parts(size, streams):
    catalogue = Catalogue((table("a.big", size_bytes=size),))

    draft = advise("copy a.big", Grounds(catalogue))

    assert draft.task.full_load.parallel_streams == streams


def test_streams_are_those_of_the_fastest_load_measured_here():
    slow = TaskHistory("slow", settings("slow"), loads=(load(100, seconds=100),))
    fast = TaskHistory(
        "fast", settings("fast", task={"full_load_settings": {"parallel_streams": 6}}), loads=(load(100, 5),)
    )
    catalogue = Catalogue((table("a.big", size_bytes=2000 * MEGABYTE),))

    draft = advise("copy a.big", Grounds(catalogue, History((slow, fast))))

    assert draft.task.full_load.parallel_streams == 6
    text = reason(draft, "task.full_load_settings.parallel_streams")
    assert "task fast" in text
    assert "about 1:40" in text


def test_a_schedule_that_loads_cannot_keep_to_is_warned_of():
    fast = TaskHistory("fast", settings("fast"), loads=(load(100, seconds=5),))
    catalogue = Catalogue((table("a.big", size_bytes=2_000_000 * MEGABYTE),))

    draft = advise("copy a.big every hour", Grounds(catalogue, History((fast,))))

    assert draft.task.full_load.schedule == "@hourly"
    assert any("follow changes instead" in text for text in draft.warnings)


def load(megabytes, seconds):
    return TableLoad(
        name("sales.customers"), 1000, megabytes * MEGABYTE, NOW, NOW + timedelta(seconds=seconds)
    )


def test_batches_of_wide_rows_have_fewer_rows():
    catalogue = Catalogue((table("a.wide", row_bytes=4000, estimated_rows=1000),))

    assert advise("replicate a.wide", Grounds(catalogue)).task.cdc.batch_max_rows == 2000
    assert "batch_max_rows" not in advise("copy a.wide", Grounds(catalogue)).json_text


@pytest.mark.parametrize(
    ("measured", "rows", "words"),
    [
        ({"lag_seconds": 300.0}, 20_000, "was 300 s behind"),
        ({"error_count": 50_000}, 5_000, "applied again row by row"),
        ({"lag_seconds": 1.0}, 10_000, "keeps up"),
    ],
)
def test_batches_follow_the_lag_and_the_errors_of_a_similar_task(measured, rows, words):
    known = settings(task={"cdc_settings": {"batch_max_rows": 10_000}})
    crm = TaskHistory("crm", known, batch_count=100, change_count=950_000, **measured)

    draft = advise("replicate sales.customers", Grounds(shop(), History((crm,))))

    assert draft.task.cdc.batch_max_rows == rows
    assert words in reason(draft, "task.cdc_settings.batch_max_rows")


def test_what_similar_tasks_mask_and_leave_out_is_masked_and_left_out_too():
    mask = {
        "table_info": {"schema_name": "sales", "table_name": "*"},
        "settings": {
            "transformation_type": "modify_column_value",
            "contract": {"operation": "redact", "column_name": "email", "replacement": "hidden"},
        },
    }
    tables = [{"schema_name": "sales", "table_name": "customers", "exclude_columns": ["phone"]}]
    crm = TaskHistory("crm", settings(tables=tables, transformations=[mask]))

    draft = advise("copy sales.customers and sales.orders", Grounds(shop(), History((crm,))))

    (change,) = draft.settings["transformations"]
    assert change["table_info"] == {"schema_name": "sales", "table_name": "customers"}
    assert change["settings"]["contract"]["replacement"] == "hidden"
    assert draft.settings["tables"][0]["exclude_columns"] == ["phone"]
    assert reason(draft, "transformations") == "task crm masks sales.customers.email as well"


def test_tables_that_the_target_has_are_not_to_be_created():
    both = frozenset({name("sales.customers"), name("sales.orders")})

    present = advise("copy sales.customers", Grounds(shop(present_on_target=both)))
    missing = advise("copy sales.customers, hr.employees", Grounds(shop(present_on_target=both)))

    assert not present.task.task.create_table_if_not_exists
    assert missing.task.task.create_table_if_not_exists
    assert reason(missing, "task.create_table_if_not_exists") == "the target lacks hr.employees"


def test_the_name_and_the_connections_that_a_person_has_chosen_stay():
    frame = Frame("mine", {"source_conn_id": "erp", "target_conn_id": "dwh"})

    draft = advise("copy sales.customers", Grounds(shop(), frame=frame))

    assert draft.task.task_name == "mine"
    assert (draft.task.source_conn_id, draft.task.target_conn_id) == ("erp", "dwh")


def test_a_made_up_name_is_not_that_of_another_task():
    frame = Frame(taken_names=frozenset({"sales_customers"}))

    assert advise("copy sales.customers", Grounds(shop(), frame=frame)).task.task_name == "sales_customers_2"


def test_what_the_advisor_cannot_read_is_said():
    draft = advise("copy sales.customers, only those of RJ, names in capitals", Grounds(shop()))

    assert any("filters, transformations" in text for text in draft.warnings)
    assert not advise("copy sales.customers", Grounds(shop())).warnings


def test_a_description_without_a_table_names_those_that_there_are():
    with pytest.raises(ConfigurationError) as caught:
        advise("copy the invoices", Grounds(shop()))

    assert "sales.customers" in caught.value.hint


def test_an_empty_description_is_refused():
    with pytest.raises(ConfigurationError, match="empty"):
        suggest("  ", Grounds(shop()))


def test_a_draft_is_shown_as_a_change_of_the_present_settings():
    present = {"task": {"task_name": "mine"}, "tables": [{"schema_name": "sales", "table_name": "orders"}]}

    draft = advise("copy sales.customers", Grounds(shop(), frame=Frame("mine", present=present)))

    assert '-      "table_name": "orders"' in draft.diff_from(present)
    assert '+      "table_name": "customers"' in draft.diff_from(present)
    assert all(line.startswith(("+", "---", "@@")) for line in draft.diff_from(None).splitlines())


def test_a_model_that_cannot_be_asked_leaves_the_advisors_draft():
    class Silent:
        def draft(self, description, grounds):
            raise ModelError("no answer within 1 s")

    draft = suggest("copy sales.customers", Grounds(shop()), drafter=Silent())

    assert replace(draft, warnings=()) == replace(
        advise("copy sales.customers", Grounds(shop())), warnings=()
    )
    assert "no answer within 1 s" in draft.warnings[0]


def test_what_a_draft_would_destroy_is_said_and_a_negated_wish_destroys_nothing():
    destroying = advise("copy sales.customers, truncate first", Grounds(shop()))
    sparing = advise("copy sales.customers, do not truncate", Grounds(shop()))

    assert any("removes rows" in text for text in destroying.warnings)
    assert not any("removes rows" in text for text in sparing.warnings)
    assert not sparing.task.full_load.truncate_before_insert


@pytest.mark.parametrize("text", ["do not truncate", "não truncar", "no truncar"])
def test_not_to_truncate_clears_what_the_task_has_at_present(text):
    task = {"task_name": "crm", "full_load_settings": {"truncate_before_insert": True, "split_bytes": 10**8}}
    present = {"task": task, "tables": [{"schema_name": "sales", "table_name": "customers"}]}
    load_task(present, origin="test")
    grounds = Grounds(shop(), frame=Frame("crm", {}, present))

    cleared = advise(f"copy sales.customers, {text}", grounds)
    kept = advise("copy sales.customers", grounds)

    assert not cleared.task.full_load.truncate_before_insert
    assert cleared.task.full_load.split_bytes == 10**8
    assert reason(cleared, "task.full_load_settings.truncate_before_insert").startswith("“")
    assert not any("removes rows" in warning for warning in cleared.warnings)
    assert kept.task.full_load.truncate_before_insert
    assert any("removes rows" in warning for warning in kept.warnings)


def test_a_schedule_that_is_not_wanted_any_more_is_taken_out():
    task = {"task_name": "crm", "full_load_settings": {"schedule": "0 * * * *"}}
    present = {"task": task, "tables": [{"schema_name": "sales", "table_name": "customers"}]}
    grounds = Grounds(shop(), frame=Frame("crm", {}, present))

    assert advise("sales.customers: not every hour", grounds).task.full_load.schedule is None
    assert advise("sales.customers: not every day", grounds).task.full_load.schedule == "0 * * * *"


@pytest.mark.parametrize("text", ["every 90 minutes", "a cada 2 dias", "dos veces a la semana"])
def test_a_schedule_that_is_not_in_the_draft_is_warned_of(text):
    draft = advise(f"copy sales.customers {text}", Grounds(shop()))

    assert draft.task.replication_type == "full_load"
    assert draft.task.full_load.schedule is None
    assert f"The schedule “{text}” is not in the draft: " in draft.warnings[-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.description[:40])
def test_each_setting_has_a_reason(case):
    draft = advise(case.description, Grounds(shop()))

    unexplained = [path for path in chosen_paths(draft.settings) if reason_for(path, draft.reasons) is None]
    assert unexplained == []


@pytest.mark.parametrize(
    ("text", "option", "columns"),
    [
        ("replicate sales.customers without the columns email and phone", "exclude_columns", ("email", "phone")),
        ("replique sales.customers sem phone", "exclude_columns", ("phone",)),
        ("replica sales.customers excepto las columnas email, phone y state, cada hora", "exclude_columns",
         ("email", "phone", "state")),
        ("copy only id, name and birth_date of customers every day", "columns", ("id", "name", "birth_date")),
        ("copie uma vez apenas as colunas id e name de customers", "columns", ("id", "name")),
        ("copia sales.customers, solo id y name", "columns", ("id", "name")),
    ],
)  # fmt: skip
def test_columns_that_are_named_are_chosen(text, option, columns):
    draft = advise(text, Grounds(shop()))

    (table_,) = draft.task.tables
    assert tuple(getattr(table_, option)) == columns
    assert not any("does not read" in warning for warning in draft.warnings)
    assert reason(draft, f"tables[].{option}").startswith("“")


@pytest.mark.parametrize(
    "text",
    [
        "replicate sales.customers without empty email",
        "replicate sales.customers without email of gmail",
        "replicate sales.customers, only name and email",  # the key has to be there
        "replicate sales.customers without id",
        "replicate sales.customers, only state RJ",
        "replicate sales.customers and sales.orders without the column name",
        "sales.customers, only id from 1 to 100",
        "sales.customers, so id de 1 a 100",
        "sales.customers, only id in (1, 2, 3)",
        "only id and name of sales.customers from SP",
        "so id e name de customers de SP",
        "sales.events, only kind from SP",
        "sales.events, only kind and at",
        "sales.customers without email and without phone",
        "everything but email of sales.customers",
        "do not copy email of sales.customers",
        "sales.customers, email excluded",
        "only id and name of sales.customers and phone",
        "only id and name of sales.customers created after 2024",
        "only id and name of sales.customers every day but email",
        "sales.customers without email, name in capitals",
        "only id and name of sales.customers, only phone",
    ],
)
def test_columns_that_are_not_clearly_chosen_are_left_to_the_person(text):
    draft = advise(text, Grounds(shop()))

    assert all(not entry.columns and not entry.exclude_columns for entry in draft.task.tables)
    assert any("does not read" in warning for warning in draft.warnings)


def test_columns_that_a_description_names_replace_the_present_choice():
    customers = {"schema_name": "sales", "table_name": "customers", "columns": ["id"], "priority": 4}
    present = {"task": {"task_name": "crm"}, "tables": [customers]}
    grounds = Grounds(shop(), frame=Frame("crm", {}, present))

    changed = advise("sales.customers without email", grounds).settings["tables"]
    kept = advise("sales.customers", grounds).settings["tables"]

    chosen = advise("only id and name of sales.customers", grounds).settings["tables"]

    assert changed == [customers]  # email is none of those chosen at present: nothing else comes back
    assert chosen == [{**customers, "columns": ["id", "name"]}]
    assert kept == [customers]


def test_columns_left_out_at_present_or_in_another_task_stay_out_beside_those_that_are_named():
    left_out = {"schema_name": "sales", "table_name": "customers", "exclude_columns": ["email"]}
    present = {"task": {"task_name": "mine"}, "tables": [left_out]}
    history = History((TaskHistory("crm", settings(tables=[{**left_out, "exclude_columns": ["state"]}])),))

    changed = advise("sales.customers without phone", Grounds(shop(), history, Frame("mine", {}, present)))
    new = advise("sales.customers without phone", Grounds(shop(), history))
    whole = advise("replicate everything", Grounds(shop(), history))

    assert changed.task.tables[0].exclude_columns == ("email", "state", "phone")
    assert new.task.tables[0].exclude_columns == ("state", "phone")
    assert whole.task.selection_of("sales", "customers").exclude_columns == ("state",)


def test_a_column_that_was_left_out_so_far_and_is_named_is_warned_of():
    left_out = {"schema_name": "sales", "table_name": "customers", "exclude_columns": ["email"]}
    present = {"task": {"task_name": "mine"}, "tables": [left_out]}

    draft = advise("only id and email of sales.customers", Grounds(shop(), frame=Frame("mine", {}, present)))

    assert draft.task.tables[0].columns == ("id", "email")
    assert "sales.customers was copied without email so far." in draft.warnings


def change_of(column, operation, **more):
    contract = {"operation": operation, "column_name": column, **more}
    return {
        "table_info": {"schema_name": "sales", "table_name": "customers"},
        "settings": {"transformation_type": "modify_column_value", "contract": contract},
    }


def test_a_transformation_of_a_column_that_is_left_out_goes_alone():
    changes = [change_of("name", "uppercase"), change_of("email", "redact", replacement="-")]
    task = {
        "task_name": "crm",
        "replication_type": "full_load_and_cdc",
        "cdc_settings": {"batch_max_rows": 77},
    }
    present = {
        "task": task,
        "tables": [{"schema_name": "sales", "table_name": "customers"}],
        "transformations": changes,
    }

    draft = advise("sales.customers without name", Grounds(shop(), frame=Frame("crm", {}, present)))

    assert draft.settings["transformations"] == changes[1:]
    assert draft.task.cdc.batch_max_rows == 77
    assert draft.task.tables[0].exclude_columns == ("name",)
    assert any("Left out" in each and "transformations[0]" in each for each in draft.warnings)


def test_a_mask_of_another_task_is_not_drafted_for_a_column_that_is_left_out():
    crm = settings(transformations=[change_of("email", "redact", replacement="-")])
    history = History((TaskHistory("crm", crm),))

    draft = advise("sales.customers without email", Grounds(shop(), history))

    assert "transformations" not in draft.settings


def test_several_parts_that_leave_columns_out_are_read_together():
    for text in ("without email; without phone", "without email, or phone", "sem email ou phone"):
        draft = advise(f"sales.customers {text}", Grounds(shop()))

        assert draft.task.tables[0].exclude_columns == ("email", "phone")


def test_a_time_that_gives_no_schedule_leaves_the_type_of_replication():
    customers = {"schema_name": "sales", "table_name": "customers"}
    present = {
        "task": {"task_name": "crm", "replication_type": "full_load_and_cdc"},
        "tables": [customers],
    }
    grounds = Grounds(shop(), frame=Frame("crm", {}, present))

    passing = advise("sales.customers gets about 1000 rows per day; stop on errors", grounds)
    report = advise("sales.customers is the table of the monthly report", grounds)
    timed = advise("sales.customers every hour", grounds)

    assert passing.task.replication_type == report.task.replication_type == "full_load_and_cdc"
    assert report.task.full_load.schedule is None
    assert timed.task.replication_type == "full_load"
    assert any("follows changes at present" in each for each in timed.warnings)
    assert not any("follows changes at present" in each for each in (*passing.warnings, *report.warnings))


def test_a_day_that_no_month_has_is_warned_of():
    draft = advise("sales.customers on the 45th of each month", Grounds(shop()))

    assert draft.task.full_load.schedule is None
    assert any("it is no day of a month" in each for each in draft.warnings)


def test_changes_alone_that_cannot_be_captured_are_said():
    catalogue = shop(obstacles_to_capture=("wal_level is replica",))

    draft = advise("only changes of sales.orders", Grounds(catalogue))

    assert draft.task.replication_type == "cdc"
    assert any("wal_level is replica" in text for text in draft.warnings)


def test_what_a_description_says_nothing_of_is_kept_with_reasons():
    customers = {"schema_name": "sales", "table_name": "customers"}
    state = {"filter_type": "in", "column_name": "state", "values": ["RJ"]}
    upper = {"operation": "uppercase", "column_name": "name"}
    change = {"transformation_type": "modify_column_value", "contract": upper}
    present = {
        "task": {
            "task_name": "crm",
            "replication_type": "full_load",
            "full_load_settings": {"parallel_streams": 7, "schedule": "@daily"},
        },
        "tables": [{**customers, "priority": 4}, {"schema_name": "hr", "table_name": "employees"}],
        "filters": [
            {"table_info": customers, "settings": state},
            {
                "table_info": {"schema_name": "hr", "table_name": "employees"},
                "settings": {"filter_type": "in", "column_name": "id", "values": ["1"]},
            },
        ],
        "transformations": [{"table_info": customers, "settings": change}],
    }
    load_task(present, origin="test")

    draft = advise("copy sales.customers every hour", Grounds(shop(), frame=Frame("crm", {}, present)))

    assert draft.settings["filters"] == present["filters"][:1]
    assert draft.settings["transformations"] == present["transformations"]
    assert draft.settings["tables"] == [{**customers, "priority": 4}]
    assert draft.task.full_load.schedule == "@hourly"
    assert reason(draft, "filters") == "kept from the present settings"


def test_a_pattern_keeps_the_options_of_the_tables_it_stands_for():
    customers = {"schema_name": "sales", "table_name": "customers", "columns": ["id", "name"]}
    present = {"task": {"task_name": "crm"}, "tables": [customers]}

    draft = advise("copy all tables of sales", Grounds(shop(), frame=Frame("crm", {}, present)))

    assert draft.task.selection_of("sales", "customers").columns == ("id", "name")


def test_a_description_that_asks_for_no_type_keeps_the_present_one():
    customers = {"schema_name": "sales", "table_name": "customers"}
    task = {"task_name": "crm", "replication_type": "full_load_and_cdc", "cdc_settings": {"mode": "upsert"}}
    present = {"task": task, "tables": [customers]}

    draft = advise("sales.customers and sales.orders", Grounds(shop(), frame=Frame("crm", {}, present)))

    assert draft.task.replication_type == "full_load_and_cdc"
    assert draft.task.cdc.mode == "upsert"
