"""The statements that apply staged net changes."""

from __future__ import annotations

from collections import Counter

import pytest
from psycopg2 import sql

from tests.support.changes import make_relation
from tests.support.sql_text import sql_text
from tests.support.target_tables import make_column, make_table, project_onto
from trempy_provider.apply_modes import default, upsert
from trempy_provider.apply_modes.staged_statements import (
    staged_delete_sql,
    staged_insert_sql,
    staged_update_sql,
)
from trempy_provider.apply_modes.statements import Statement
from trempy_provider.postgres.staging import StagedCounts

STAGING = sql.Identifier("pg_temp", "s1")
PLAIN = project_onto(make_relation("id", "v", "w", key=("id",)), "id")
ALL_KEY = project_onto(make_relation("a", "b", key=("a", "b")), "b", "a")
KEYLESS = project_onto(make_relation("x", "y"))
HOSTILE_NAMES = ('a"b', "100%s", "{v}", "sélect\\", "s.id = 1 --")


def counts(**rows: int) -> StagedCounts:
    """Return counts; `U_u` stands for updates with the mask `.u`."""
    return StagedCounts(Counter({(name[0], name[2:].replace("_", ".")): n for name, n in rows.items()}))


def texts(statements: list[Statement]) -> list[tuple[str, int | None]]:
    return [(sql_text(statement.query), statement.expected_rows) for statement in statements]


def test_insert_names_its_columns() -> None:
    assert sql_text(staged_insert_sql(PLAIN, STAGING, "I")) == (
        'insert into "shop"."t" ("id", "v", "w") select s."id", s."v", s."w" '
        'from "pg_temp"."s1" s where s."trempy operation" in (\'I\')'
    )


def test_insert_of_several_operations_lists_them() -> None:
    assert sql_text(staged_insert_sql(KEYLESS, STAGING, "IU")).endswith("in ('I', 'U')")


def test_insert_writes_identity_columns_that_are_always_generated() -> None:
    table = make_table(make_column("id", identity="a"), "v", "w", keys=(("id",),))
    projection = project_onto(make_relation("id", "v", "w", key=("id",)), "id", table=table)

    query = sql_text(staged_insert_sql(projection, STAGING, "I"))

    assert query.startswith('insert into "shop"."t" ("id", "v", "w") overriding system value select ')


def test_update_sets_all_columns_but_the_key() -> None:
    assert sql_text(staged_update_sql(PLAIN, STAGING, "...")) == (
        'update only "shop"."t" t set "v" = s."v", "w" = s."w" from "pg_temp"."s1" s '
        'where s."trempy operation" in (\'U\') and s."trempy mask" = \'...\' and t."id" = s."id"'
    )


def test_update_leaves_masked_columns_alone() -> None:
    query = sql_text(staged_update_sql(PLAIN, STAGING, ".u."))

    assert ' set "w" = s."w" from ' in query
    assert "s.\"trempy mask\" = '.u.'" in query


@pytest.mark.parametrize(("projection", "mask"), [(PLAIN, ".uu"), (ALL_KEY, "..")])
def test_update_without_anything_to_set_still_finds_its_rows(projection, mask) -> None:
    query = sql_text(staged_update_sql(projection, STAGING, mask))

    for column in projection.key:
        assert f'"{column.name}" = s."{column.name}"' in query.partition(" from ")[0]


def test_mask_of_another_width_is_a_defect() -> None:
    with pytest.raises(ValueError, match="letters"):
        staged_update_sql(PLAIN, STAGING, ".")


def test_delete_uses_all_columns_of_the_key() -> None:
    assert sql_text(staged_delete_sql(ALL_KEY, STAGING)) == (
        'delete from only "shop"."t" t using "pg_temp"."s1" s '
        'where s."trempy operation" in (\'D\') and t."b" = s."b" and t."a" = s."a"'
    )


def test_hostile_names_stay_names() -> None:
    key = HOSTILE_NAMES[0]
    projection = project_onto(make_relation(*HOSTILE_NAMES, key=(key,)), key)
    quoted = ['"a""b"', '"100%s"', '"{v}"', '"sélect\\"', '"s.id = 1 --"']

    insert = sql_text(staged_insert_sql(projection, STAGING, "I"))
    update = sql_text(staged_update_sql(projection, STAGING, "....."))

    assert f"({', '.join(quoted)}) select {', '.join('s.' + name for name in quoted)} from" in insert
    assert "set " + ", ".join(f"{name} = s.{name}" for name in quoted[1:]) + " from" in update
    assert update.endswith('and t."a""b" = s."a""b"')


def test_equal_statements_are_equal_values() -> None:
    assert staged_update_sql(PLAIN, STAGING, ".u.") == staged_update_sql(PLAIN, STAGING, ".u.")
    assert staged_update_sql(PLAIN, STAGING, ".u.") != staged_update_sql(PLAIN, STAGING, "..u")


def test_default_deletes_then_updates_by_mask_then_inserts_and_counts_each() -> None:
    staged = counts(I____=4, U____=2, U__u_=1, D____=3)

    statements = default.group_statements(PLAIN, staging=STAGING, counts=staged)

    assert texts(statements) == [
        (sql_text(staged_delete_sql(PLAIN, STAGING)), 3),
        (sql_text(staged_update_sql(PLAIN, STAGING, "...")), 2),
        (sql_text(staged_update_sql(PLAIN, STAGING, ".u.")), 1),
        (sql_text(staged_insert_sql(PLAIN, STAGING, "I")), 4),
    ]


@pytest.mark.parametrize("mode", [default, upsert])
def test_nothing_staged_needs_no_statement(mode) -> None:
    assert mode.group_statements(PLAIN, staging=STAGING, counts=counts()) == []


def test_upsert_inserts_or_updates_whole_rows_in_one_statement() -> None:
    statements = upsert.group_statements(PLAIN, staging=STAGING, counts=counts(I____=4, U____=2))

    assert texts(statements) == [
        (
            (
                'insert into "shop"."t" ("id", "v", "w") select s."id", s."v", s."w" from "pg_temp"."s1" s '
                "where s.\"trempy operation\" in ('I', 'U') and s.\"trempy mask\" = '...' "
                'on conflict ("id") do update set "v" = excluded."v", "w" = excluded."w"'
            ),
            None,
        )
    ]


def test_upsert_updates_masked_rows_which_must_exist() -> None:
    statements = upsert.group_statements(PLAIN, staging=STAGING, counts=counts(U__u_=2, U___u=1))

    assert texts(statements) == [
        (sql_text(staged_update_sql(PLAIN, STAGING, ".u.")), 2),
        (sql_text(staged_update_sql(PLAIN, STAGING, "..u")), 1),
    ]


def test_upsert_does_not_miss_rows_that_are_gone() -> None:
    statements = upsert.group_statements(PLAIN, staging=STAGING, counts=counts(D____=3))

    assert texts(statements) == [(sql_text(staged_delete_sql(PLAIN, STAGING, "DG")), None)]


def test_row_that_came_and_went_is_deleted_by_upsert_and_must_be_absent_by_default() -> None:
    staged = counts(G____=2)

    (deleted,) = upsert.group_statements(PLAIN, staging=STAGING, counts=staged)
    (searched,) = default.group_statements(PLAIN, staging=STAGING, counts=staged)

    assert "delete from" in sql_text(deleted.query)
    assert sql_text(searched.query).startswith("select from")
    assert searched.expected_rows == 0


def test_upsert_deletes_before_it_inserts() -> None:
    staged = counts(I____=1, U__u_=1, D____=1)

    statements = upsert.group_statements(PLAIN, staging=STAGING, counts=staged)

    assert [text.split()[0] for text, _ in texts(statements)] == ["delete", "update", "insert"]


def test_upsert_of_a_table_that_is_all_key_does_nothing_to_present_rows() -> None:
    (statement,) = upsert.group_statements(ALL_KEY, staging=STAGING, counts=counts(I___=1))

    assert sql_text(statement.query).endswith('on conflict ("b", "a") do nothing')


def test_upsert_without_a_key_inserts_every_row() -> None:
    statements = upsert.group_statements(KEYLESS, staging=STAGING, counts=counts(I___=2))

    assert texts(statements) == [(sql_text(staged_insert_sql(KEYLESS, STAGING, "I")), 2)]
