"""From the columns of a source table to those of its target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg2 import sql

from tests.support.changes import make_relation
from tests.support.sql_text import sql_text
from tests.support.target_tables import make_column, make_table, project_onto
from trempy_provider.errors import TargetSchemaError
from trempy_provider.replication.messages import UNCHANGED, ReplicaIdentity

RELATION = make_relation("id", "name", "note", key=("id",))


def test_columns_are_matched_by_name_not_by_place() -> None:
    table = make_table("note", "extra", "name", "id", keys=(("id",),))

    projection = project_onto(RELATION, "id", table=table)

    assert [(column.name, column.position) for column in projection.columns] == [
        ("id", 0),
        ("name", 1),
        ("note", 2),
    ]
    assert projection.key_positions == (0,)
    assert projection.values((b"1", None, UNCHANGED)) == (b"1", None, UNCHANGED)


def test_types_are_those_of_the_target() -> None:
    columns = [make_column("id", type_name="bigint"), make_column("name", type_name="character varying(9)")]

    projection = project_onto(make_relation("id", "name"), table=make_table(*columns))

    assert projection.staged_columns == (("id", "bigint"), ("name", "character varying(9)"))


def test_target_is_named_with_its_schema() -> None:
    projection = project_onto(RELATION, "id")

    assert projection.target == sql.Identifier("shop", "t")
    assert projection.name == "shop.t"


def test_column_that_the_target_lacks_is_refused_by_name() -> None:
    with pytest.raises(
        TargetSchemaError, match=r"shop\.t has no column 'note', source table public\.t has it"
    ):
        project_onto(RELATION, "id", table=make_table("id", "name"))


def test_generated_column_of_the_target_is_not_written() -> None:
    table = make_table("id", make_column("name", generated="s"), "note", keys=(("id",),))

    projection = project_onto(RELATION, "id", table=table)

    assert [(column.name, column.position) for column in projection.columns] == [("id", 0), ("note", 2)]
    assert projection.values((b"1", b"left out", b"n")) == (b"1", b"n")


def test_key_keeps_the_order_of_the_state() -> None:
    projection = project_onto(make_relation("a", "b", "c", key=("a", "c")), "c", "a")

    assert projection.key_positions == (2, 0)
    assert [column.name for column in projection.key] == ["c", "a"]


@pytest.mark.parametrize("column", [None, make_column("id", generated="s")])
def test_key_column_that_is_not_replicated_is_refused(column: object) -> None:
    relation = make_relation("name") if column is None else make_relation("id", "name")
    table = make_table(*[column] if column else [], "name")

    with pytest.raises(TargetSchemaError, match=r"key column 'id' of public\.t is not replicated to shop\.t"):
        project_onto(relation, "id", table=table)


@pytest.mark.parametrize(
    ("keys", "has_key_index"),
    [
        ((), False),
        ((("b", "a"),), True),
        ((("a",), ("a", "b")), True),
        ((("a",),), False),
        ((("a", "b", "c"),), False),
    ],
)
def test_index_serves_when_it_has_exactly_the_key_in_any_order(
    keys: tuple[tuple[str, ...], ...], has_key_index: bool
) -> None:
    projection = project_onto(
        make_relation("a", "b", "c", key=("a", "b")), "a", "b", table=make_table("a", "b", "c", keys=keys)
    )

    assert projection.has_key_index is has_key_index


def test_table_without_a_key_has_no_key_index() -> None:
    projection = project_onto(make_relation("a"), table=make_table("a", keys=(("a",),)))

    assert projection.key == ()
    assert not projection.has_key_index


@pytest.mark.parametrize(("identity", "overrides"), [("", False), ("d", False), ("a", True)])
def test_identity_that_is_always_generated_is_overridden(identity: str, overrides: bool) -> None:
    table = make_table(make_column("id", identity=identity), "name", "note")

    assert project_onto(RELATION, "id", table=table).overrides_identity is overrides


def test_domain_is_staged_and_compared_as_the_type_it_rests_on() -> None:
    column = make_column("name", type_oid=16999, type_name="public.code", stored_type_name="public.colour")

    (projected,) = project_onto(make_relation("name"), table=make_table(column)).columns

    assert projected.type_name == "public.colour"
    assert sql_text(projected.equals_sql("t", sql.SQL("$1"))) == 't."name"::public.colour = $1'


def test_type_of_an_extension_is_compared_by_its_own_operator() -> None:
    column = make_column("name", equality=("My types", "="))

    (projected,) = project_onto(make_relation("name"), table=make_table(column)).columns

    assert sql_text(projected.equals_sql("t", sql.SQL("$1"))) == 't."name" operator("My types".=) $1'


def test_key_is_what_the_stream_carries_of_old_rows() -> None:
    by_index = replace(make_relation("id", "name", key=("name",)), replica_identity=ReplicaIdentity.INDEX)
    full = make_relation("id", "name")

    assert [column.name for column in project_onto(by_index, "id").key] == ["name"]
    assert [column.name for column in project_onto(full, "id").key] == ["id"]


@pytest.mark.parametrize(
    ("fields", "identical"),
    [
        ({}, True),
        ({"collation": ("public", "insensitive")}, False),
        ({"type_oid": 16999}, False),
        ({"type_oid": 1700, "base_type_oid": 1700}, False),
        ({"type_oid": 16999, "base_type_oid": 23}, True),
    ],
)
def test_equal_values_may_differ_in_some_types(fields: dict[str, Any], identical: bool) -> None:
    (projected,) = project_onto(
        make_relation("name"), table=make_table(make_column("name", **fields))
    ).columns

    assert projected.equal_is_identical is identical
