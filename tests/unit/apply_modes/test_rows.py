"""The statements for one change of one row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changes import delete, insert, make_relation, update
from tests.support.sql_text import sql_text
from tests.support.target_tables import make_column, make_table, project_onto
from trempy_provider.apply_modes import default, upsert
from trempy_provider.apply_modes.modes import APPLY_MODES
from trempy_provider.apply_modes.row_errors import is_row_error
from trempy_provider.apply_modes.rows import (
    delete_row_sql,
    insert_row_sql,
    match_row_sql,
    update_row_sql,
)
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.options import ErrorHandling
from trempy_provider.postgres.literals import literal_sql
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, BinaryValue

RELATION = make_relation("id", "v", "w", key=("id",))
PLAIN = project_onto(RELATION, "id")
KEYLESS_RELATION = make_relation("x", "y")
KEYLESS = project_onto(KEYLESS_RELATION)
KEY_FIRST = {"key": (b"1", None, None)}
MODES = [default, upsert]


def texts(mode, projection, change: Change) -> list[tuple[str, int | None]]:
    return [
        (sql_text(statement.query), statement.expected_rows)
        for statement in mode.row_statements(projection, change)
    ]


@given(st.text(max_size=20).filter(lambda text: "\0" not in text))
def test_literal_is_read_back_as_the_value(text: str) -> None:
    value = text.encode()
    quoted = literal_sql(value).wrapped.getquoted()

    assert quoted[:1] == quoted[-1:] == b"'"
    assert quoted[1:-1].replace(b"''", b"'") == value
    assert b"'" not in quoted[1:-1].replace(b"''", b"")


def test_bytes_that_are_no_text_are_an_error_of_their_row() -> None:
    with pytest.raises(TargetStatementError, match="UTF-8") as raised:
        literal_sql(b"\x80")

    assert is_row_error(raised.value)


def test_literal_of_null_is_the_keyword() -> None:
    assert sql_text(literal_sql(None)) == "null"
    assert sql_text(literal_sql(b"null")) == "'null'"


@pytest.mark.parametrize("value", [UNCHANGED, BinaryValue(b"\0\0\0\x01")])
def test_value_that_has_no_text_is_a_defect(value) -> None:
    with pytest.raises(AssertionError):
        literal_sql(value)


def test_literal_does_not_show_its_value_in_its_repr() -> None:
    assert "secret" not in repr(insert_row_sql(PLAIN, (b"1", b"secret", None)))


def test_insert_writes_null_empty_and_quoted_text_apart() -> None:
    assert sql_text(insert_row_sql(PLAIN, (b"", None, b"it's \\ 100%s {0}"))) == (
        'insert into "shop"."t" ("id", "v", "w") values (\'\', null, \'it\'\'s \\ 100%s {0}\')'
    )


def test_insert_writes_identity_columns_that_are_always_generated() -> None:
    table = make_table(make_column("id", identity="a"), "v", "w")

    query = sql_text(insert_row_sql(project_onto(RELATION, "id", table=table), (b"1", b"a", b"b")))

    assert query.startswith('insert into "shop"."t" ("id", "v", "w") overriding system value values (')


def test_update_sets_what_was_sent_and_finds_the_row_by_its_key() -> None:
    assert sql_text(update_row_sql(PLAIN, update(RELATION, (b"1", UNCHANGED, None)))) == (
        'update only "shop"."t" t set "id" = \'1\', "w" = null where t."id" = \'1\'::text'
    )


def test_update_of_the_key_finds_the_row_by_the_old_one() -> None:
    change = update(RELATION, (b"2", b"a", b"b"), **KEY_FIRST)

    assert sql_text(update_row_sql(PLAIN, change)) == (
        'update only "shop"."t" t set "id" = \'2\', "v" = \'a\', "w" = \'b\' where t."id" = \'1\'::text'
    )


def test_update_with_nothing_sent_still_finds_its_row() -> None:
    change = update(RELATION, (UNCHANGED, UNCHANGED, UNCHANGED), **KEY_FIRST)

    assert sql_text(update_row_sql(PLAIN, change)) == (
        'update only "shop"."t" t set "id" = t."id" where t."id" = \'1\'::text'
    )


def test_delete_finds_the_row_by_all_columns_of_its_key() -> None:
    relation = make_relation("a", "b", "c", key=("a", "c"))
    projection = project_onto(relation, "c", "a")

    assert sql_text(delete_row_sql(projection, delete(relation, key=(b"1", None, b"x")))) == (
        'delete from only "shop"."t" t where t."c" = \'x\'::text and t."a" = \'1\'::text'
    )


def test_whole_old_row_of_a_table_with_a_key_is_found_by_the_key() -> None:
    change = delete(RELATION, old=(b"1", b"a", b"b"))

    assert sql_text(match_row_sql(PLAIN, change)) == "t.\"id\" = '1'::text"


def test_row_without_a_key_is_found_by_the_text_of_all_columns_and_once() -> None:
    change = delete(KEYLESS_RELATION, old=(b"1.00", None))

    assert sql_text(delete_row_sql(KEYLESS, change)) == (
        'delete from only "shop"."t" t where t.ctid = (select r.ctid from only "shop"."t" r where '
        "(r.\"x\" is distinct from null and format('%s', r.\"x\") = (select format('%s', '1.00'::text)) "
        'collate "C") and r."y" is not distinct from null limit 1)'
    )


def test_row_without_a_key_is_updated_where_its_old_values_are() -> None:
    change = update(KEYLESS_RELATION, (b"1", UNCHANGED), old=(b"1", b"long"))

    query = sql_text(update_row_sql(KEYLESS, change))

    assert query.startswith('update only "shop"."t" t set "x" = \'1\' where t.ctid = (')
    assert "format('%s', r.\"y\") = (select format('%s', 'long'::text)) collate \"C\"" in query


def test_value_is_compared_in_the_form_it_has_in_the_target_type() -> None:
    table = make_table(make_column("x", type_oid=20, base_type_oid=20, stored_type_name="bigint"), "y")
    projection = project_onto(KEYLESS_RELATION, table=table)

    query = sql_text(match_row_sql(projection, delete(KEYLESS_RELATION, old=(b"1", b"a"))))

    assert "format('%s', r.\"x\") = (select format('%s', '1'::bigint))" in query


def test_column_that_the_target_generates_does_not_identify_a_row() -> None:
    table = make_table("x", make_column("y", generated="s"))
    projection = project_onto(KEYLESS_RELATION, table=table)

    assert '"y"' not in sql_text(match_row_sql(projection, delete(KEYLESS_RELATION, old=(b"1", b"a"))))


def test_hostile_names_stay_names() -> None:
    names = ('a"b', "100%s", "{0}", "x' or '1'='1")
    relation = make_relation(*names)
    projection = project_onto(relation)

    update_text = sql_text(update_row_sql(projection, update(relation, (b"1",) * 4, old=(b"2",) * 4)))

    for name in ('"a""b"', '"100%s"', '"{0}"', "\"x' or '1'='1\""):
        assert f"{name} = '1'" in update_text
        assert f"(r.{name} is distinct from null and format('%s', r.{name}) = (select " in update_text


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (insert(RELATION, b"1", b"a", b"b"), "insert"),
        (update(RELATION, (b"1", b"a", b"b")), "update"),
        (delete(RELATION, **KEY_FIRST), "delete"),
    ],
)
def test_default_expects_every_change_to_touch_one_row(change: Change, word: str) -> None:
    ((text, expected_rows),) = texts(default, PLAIN, change)

    assert text.split()[0] == word
    assert "on conflict" not in text
    assert expected_rows == 1


def test_upsert_inserts_or_updates_a_row() -> None:
    assert texts(upsert, PLAIN, insert(RELATION, b"1", b"a", None)) == [
        (
            (
                'insert into "shop"."t" ("id", "v", "w") values (\'1\', \'a\', null) '
                'on conflict ("id") do update set "v" = excluded."v", "w" = excluded."w"'
            ),
            None,
        )
    ]


def test_upsert_updates_and_inserts_the_row_if_there_is_none() -> None:
    (first, expected_rows), (second, _) = texts(upsert, PLAIN, update(RELATION, (b"1", b"a", b"b")))

    assert (first.split()[0], expected_rows) == ("update", 1)
    assert second.startswith("insert into ")


def test_upsert_fills_unchanged_values_from_a_whole_old_row() -> None:
    change = update(RELATION, (b"1", UNCHANGED, b"b"), old=(b"1", b"long", b"a"))

    _, (second, _) = texts(upsert, PLAIN, change)

    assert "values ('1', 'long', 'b')" in second


@pytest.mark.parametrize("sent", [{}, {"key": (b"1", None, None)}])
def test_upsert_never_inserts_a_row_that_it_knows_in_part(sent) -> None:
    change = update(RELATION, (b"1", UNCHANGED, b"b"), **sent)

    ((text, expected_rows),) = texts(upsert, PLAIN, change)

    assert text.startswith("update ")
    assert expected_rows == 1


def test_upsert_does_not_miss_a_row_that_is_gone() -> None:
    assert texts(upsert, PLAIN, delete(RELATION, **KEY_FIRST)) == [
        ('delete from only "shop"."t" t where t."id" = \'1\'::text', None)
    ]


def test_upsert_of_a_row_that_is_all_key_does_nothing_if_it_is_there() -> None:
    relation = make_relation("a", "b", key=("a", "b"))

    ((text, _),) = texts(upsert, project_onto(relation, "a", "b"), insert(relation, b"1", b"2"))

    assert text.endswith('on conflict ("a", "b") do nothing')


@pytest.mark.parametrize(
    "change",
    [
        insert(KEYLESS_RELATION, b"1", b"a"),
        update(KEYLESS_RELATION, (b"1", b"a"), old=(b"1", b"b")),
        delete(KEYLESS_RELATION, old=(b"1", b"b")),
    ],
)
def test_upsert_without_a_key_is_default(change: Change) -> None:
    assert texts(upsert, KEYLESS, change) == texts(default, KEYLESS, change)


@pytest.mark.parametrize("operation", [Operation.INSERT, Operation.UPDATE, Operation.DELETE])
@pytest.mark.parametrize("name", [ApplyModeName.DEFAULT, ApplyModeName.UPSERT])
def test_each_operation_of_a_mode_stops_at_its_own_option(name: ApplyModeName, operation: Operation) -> None:
    mode = APPLY_MODES[name]
    option = mode.stop_options[operation]

    assert mode.stops_at(operation, ErrorHandling(**{option: True}))
    others = {name for name in ErrorHandling.model_fields if name.startswith("stop_if_")} - {option}
    assert not mode.stops_at(operation, ErrorHandling(**dict.fromkeys(others, True)))
