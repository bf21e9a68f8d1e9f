"""From a target table's columns to others: which steps, in which order, and when they are done."""

from dataclasses import replace

import pytest
from psycopg2 import sql

from trempy_provider.postgres.evolution_steps import (
    AddColumn,
    AllowNull,
    ChangeType,
    DropColumn,
    KeepValues,
    MakeIdentity,
    RefuseNull,
    RenameColumns,
    TargetServer,
    find_steps,
)
from trempy_provider.postgres.tables import Column, QualifiedName, Table

NAME = QualifiedName("public", "t")
SERVER = TargetServer(150000)


def column(name: str, position: int, type_name: str = "integer", **traits) -> Column:
    oid = {"integer": 23, "bigint": 20, "text": 25}[type_name]
    return Column(name, position, oid, type_name, oid, "pg_catalog", **traits)


def steps(before: list[Column], after: list[Column], *, values=None, retyped=()):
    return find_steps(before, after, values=values or {}, retyped=retyped)


def target(*columns: Column) -> Table:
    return Table(oid=1, name=NAME, kind="r", columns=columns)


def text_of(statements: list[sql.Composed]) -> list[str]:
    """Write composed SQL without a connection."""
    return ["".join(_text_of(part) for part in statement.seq) for statement in statements]


def _text_of(part) -> str:
    if isinstance(part, sql.Composed):
        return "".join(map(_text_of, part.seq))
    if isinstance(part, sql.Identifier):
        return ".".join(part.strings)
    return repr(part.wrapped) if isinstance(part, sql.Literal) else part.string


ID, A, B = column("id", 1), column("a", 2), column("b", 3)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([ID, A, B], []),
        ([ID, B], [DropColumn("a")]),
        ([ID, A, B, column("c", 4)], [AddColumn(column("c", 4), "7")]),
        ([ID, column("c", 2), B], [RenameColumns((("a", "c"),))]),
        ([ID, column("b", 2), column("a", 3)], [RenameColumns((("a", "b"), ("b", "a")))]),
        ([ID, column("a", 2, "bigint"), B], [ChangeType(column("a", 2, "bigint"), "integer")]),
        ([ID, B, column("a", 4)], [DropColumn("a"), AddColumn(column("a", 4), "7")]),
        ([ID, replace(A, not_null=True), B], [RefuseNull("a")]),
    ],
    ids=["same", "drop", "add", "rename", "swap", "retype", "replace", "not_null"],
)
def test_steps_between_two_shapes(after, expected):
    assert steps([ID, A, B], after, values={4: "7"}, retyped={2}) == expected


def test_null_is_allowed_and_a_generated_column_becomes_plain():
    before = [ID, replace(A, not_null=True), replace(B, generated="s", default_sql="a + 1")]

    assert steps(before, [ID, A, B]) == [KeepValues("b"), AllowNull("a")]


def test_identity_comes_last_because_it_refuses_null():
    serial = column("n", 4, not_null=True, default_sql="nextval('s')")

    assert steps([ID], [ID, serial])[-2:] == [RefuseNull("n"), MakeIdentity("n")]


def test_column_that_the_settings_make_is_left_alone():
    made = column("made", 0)

    assert steps([ID, A, made], [ID, made]) == [DropColumn("a")]


def test_added_column_gives_old_rows_their_value_and_new_ones_the_default():
    added = AddColumn(column("c", 3, default_sql="8", default_is_safe=True, not_null=True), "7")

    assert text_of(added.statements(NAME.identifier, SERVER)) == [
        "alter table public.t add column c integer default '7'::integer",
        "alter table public.t alter column c set default 8",
    ]
    assert text_of(added.advice(NAME.identifier, SERVER)) == [
        "alter table public.t add column c integer default 8"
    ]


def test_swapped_names_pass_through_names_that_nobody_uses():
    swap = RenameColumns((("a", "b"), ("b", "a")))

    assert text_of(swap.statements(NAME.identifier, SERVER)) == [
        "alter table public.t rename column a to trempy renamed 0",
        "alter table public.t rename column b to trempy renamed 1",
        "alter table public.t rename column trempy renamed 0 to b",
        "alter table public.t rename column trempy renamed 1 to a",
    ]


@pytest.mark.parametrize(
    ("step", "now"),
    [
        (AddColumn(column("a", 4)), target(column("id", 1), column("a", 5))),
        (DropColumn("a"), target(column("id", 1))),
        (DropColumn("a"), target(column("id", 1), column("a", 5))),
        (RenameColumns((("a", "b"),)), target(column("id", 1), column("b", 2))),
        (ChangeType(column("a", 2, "bigint"), "integer"), target(column("a", 2, "text"))),
    ],
)
def test_step_that_somebody_has_taken_is_done(step, now):
    assert step.is_done(now, {"id": 1, "a": 2})
    assert not step.is_done(target(column("id", 1), column("a", 2)), {"id": 1, "a": 2})
