"""What a source table becomes on the target, without a server."""

from __future__ import annotations

from dataclasses import replace

from tests.support.target_tables import make_column, make_table
from tests.support.tasks import make_task
from trempy_provider.postgres.table_plan import plan_table
from trempy_provider.postgres.tables import Key


def test_keys_over_columns_that_stay_behind_are_left_out() -> None:
    table = replace(
        make_table(make_column("a"), make_column("b")),
        keys=(Key("p", ("a",), is_primary=True), Key("u", ("a", "b"))),
    )
    task = make_task("test", [{"table_name": "t", "exclude_columns": ["b"]}])

    plan = plan_table(task, table)

    assert [key.name for key in plan.keys] == ["p"]
    assert [column.name for column in plan.columns] == ["a"]
    assert plan.identity == ("a",)
    assert plan.target == table.name
