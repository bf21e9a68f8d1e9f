"""Which filters are pushed down to the publication, and why others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.settings_entries import filter_entry
from tests.support.target_tables import make_column
from trempy_provider.config.choices import OperationName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.row_filters import PushDown, push_down
from trempy_provider.postgres.tables import Key, Partition, QualifiedName, Table

INTEGER = {"type_oid": 23, "base_type_oid": 23, "type_name": "integer", "stored_type_name": "integer"}
MOMENT = {"type_oid": 1184, "base_type_oid": 1184, "type_name": "timestamp with time zone"}
ALL = frozenset(OperationName)
TABLE = Table(
    oid=1,
    name=QualifiedName("shop", "t"),
    kind="r",
    columns=(
        make_column("id", 1, **INTEGER),
        make_column("label", 2),
        make_column("at", 3, **MOMENT),
        make_column("code", 4, type_oid=20001, type_name="public.code"),
        make_column("mood", 5, type_oid=20002, base_type_oid=20002, type_name="public.mood"),
        make_column("sorted", 6, collation=("public", "numeric_order")),
    ),
    keys=(Key("t_pkey", ("id",), is_primary=True, is_not_null=True),),
)
FULL = replace(TABLE, replica_identity="f")


def pushed(table: Table, *entries: dict[str, Any], published: Any = ALL, **selection: Any) -> PushDown:
    task = ReplicationTask.model_validate(
        {
            "task": {
                "task_name": "test",
                "replication_type": "cdc",
                "cdc_settings": {"push_down_filters": True},
            },
            "tables": [{"schema_name": "shop", "table_name": "t", **selection}],
            "filters": list(entries),
        }
    )
    return push_down(task, table, published)


def entry(kind: str, column: str, **operands: Any) -> dict[str, Any]:
    return filter_entry("shop.t", kind, column, **operands)


@pytest.mark.parametrize(
    "filter_", [entry("equals", "id", value=1), entry("is_not_null", "id"), entry("in", "id", values=[1, 2])]
)
def test_a_filter_of_the_key_is_pushed_down(filter_: dict[str, Any]) -> None:
    assert pushed(TABLE, filter_).row_filter is not None
    assert pushed(TABLE, filter_).kept == ()


@pytest.mark.parametrize(
    "filter_",
    [
        entry("equals", "label", value="x"),
        entry("not_contains", "label", value="x"),
        entry("date_less_than", "at", value="2024-02-29"),
        entry("between", "at", lower="2024-02-28", upper="2024-02-29 12:00"),
    ],
)
def test_a_filter_of_another_column_is_pushed_down_where_whole_rows_are_sent(filter_: dict[str, Any]) -> None:
    assert len(pushed(FULL, filter_).pushed) == 1
    (kept,) = pushed(TABLE, filter_).kept
    assert "is not in the replica identity" in kept.reason
    assert "replica identity full" in kept.remedy
    assert len(pushed(TABLE, filter_, published={OperationName.INSERT}).pushed) == 1


@pytest.mark.parametrize(
    ("filter_", "reason"),
    [
        (entry("greater_than", "label", value="m"), "collation whose version may differ"),
        (entry("not_between", "label", lower="a", upper="m"), "collation whose version may differ"),
        (entry("equals", "sorted", value="x"), "a collation of its own"),
        (entry("is_null", "code"), "public.code, which row filters do not take"),
        (entry("equals", "mood", value="ok"), "public.mood, which row filters do not take"),
        (entry("less_than", "at", value="Now"), "another moment each time"),
        (entry("between", "at", lower="2024-01-01", upper="tomorrow"), "another moment each time"),
    ],
)
def test_a_filter_that_may_differ_or_is_not_allowed_stays_with_apply(
    filter_: dict[str, Any], reason: str
) -> None:
    (kept,) = pushed(FULL, filter_).kept
    assert reason in kept.reason
    assert pushed(FULL, filter_).row_filter is None


def test_a_table_without_one_of_three_operations_is_not_filtered_while_updates_are_published() -> None:
    key = entry("equals", "id", value=1)

    assert "does not take part" in pushed(TABLE, key, operations=["insert", "update"]).kept[0].reason
    without_updates = {OperationName.INSERT, OperationName.DELETE}
    assert pushed(TABLE, key, operations=["insert"], published=without_updates).pushed


def test_of_several_filters_some_are_pushed_down() -> None:
    filters = pushed(TABLE, entry("equals", "id", value=1), entry("equals", "label", value="x"))

    assert [path for path, _ in filters.pushed] == ["filters[0].settings"]
    assert [kept.path for kept in filters.kept] == ["filters[1].settings"]


@pytest.mark.parametrize(("identity", "columns", "is_sent"), [("d", ("id",), True), ("i", ("label",), False)])
def test_a_partitioned_table_is_filtered_by_what_all_partitions_send(
    identity: str, columns: tuple[str, ...], is_sent: bool
) -> None:
    leaf = Partition(2, QualifiedName("shop", "t1"), "r", "p", identity, 0, 0, None, columns)
    root = replace(TABLE, kind="p", partitions=(leaf,))
    whole = replace(FULL, kind="p", partitions=(replace(leaf, replica_identity="f"),))

    assert bool(pushed(root, entry("equals", "id", value=1)).pushed) is is_sent
    assert "partitions made later" in pushed(whole, entry("equals", "label", value="x")).kept[0].reason


def test_nothing_is_pushed_down_unless_asked_for() -> None:
    task = ReplicationTask.model_validate(
        {
            "task": {"task_name": "test", "replication_type": "cdc"},
            "tables": [{"schema_name": "shop", "table_name": "t"}],
            "filters": [entry("equals", "id", value=1)],
        }
    )

    assert push_down(task, FULL, ALL) == PushDown()
