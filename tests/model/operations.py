"""Random statements on random tables; what they find there depends on what others do at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from psycopg2 import sql

from tests.model.tables import ModelColumn, ModelTable

LARGE_ROW_COUNT = 400
Statement = sql.Composable


def random_statements(random: Random, tables: Sequence[ModelTable]) -> list[Statement]:
    """Return the statements of one operation; several belong together."""
    table = random.choice(tables)
    if random.random() < 0.02:
        return [_truncate(random, tables)]
    operations = KEYED_OPERATIONS if table.key else KEYLESS_OPERATIONS
    (operation,) = random.choices(list(operations), weights=list(operations.values()))
    return operation(random, table)


def _insert(random: Random, table: ModelTable) -> list[Statement]:
    rows = [[_value(random, column) for column in table.columns] for _ in range(random.randint(1, 6))]
    conflict = sql.SQL(" on conflict do nothing" if random.random() < 0.8 else "")
    return [
        sql.SQL("insert into {} ({}) values {}{}").format(
            table.identifier,
            _names(table.columns),
            sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(row)) for row in rows),
            conflict,
        )
    ]


def _insert_many(random: Random, table: ModelTable) -> list[Statement]:
    """Enough rows for chunks, with a large value in each."""
    values = [
        sql.SQL("g + {}").format(sql.Literal(random.randint(1000, 9000)))
        if column.name in table.key and column.type_name in ("integer", "bigint")
        else sql.SQL("repeat(md5(g::text), 5)")
        if column.name == "big"
        else sql.SQL("null::") + sql.SQL(column.type_name)
        if column.name == table.unique
        else _value(random, column) + sql.SQL("::") + sql.SQL(column.type_name)
        for column in table.columns
    ]
    count = random.randint(20, LARGE_ROW_COUNT)
    return [
        sql.SQL("insert into {} ({}) select {} from generate_series(1, {}) g on conflict do nothing").format(
            table.identifier, _names(table.columns), sql.SQL(", ").join(values), sql.Literal(count)
        )
    ]


def _update(random: Random, table: ModelTable) -> list[Statement]:
    return [_update_sql(table, _assignments(random, table), _one_row(random, table))]


def _update_many(random: Random, table: ModelTable) -> list[Statement]:
    n = sql.SQL("n = coalesce(n, 0) + 1")
    assignments = n if random.random() < 0.5 else _assignments(random, table)
    return [_update_sql(table, assignments, _many_rows(random, table))]


def _update_large_value(random: Random, table: ModelTable) -> list[Statement]:
    """Write a value that is stored out of line, then leave it unchanged."""
    value = sql.SQL("big = repeat(md5({}), {})").format(
        sql.Literal(str(random.random())), sql.Literal(random.choice([10, 80, 300]))
    )
    where = _one_row(random, table)
    return [
        _update_sql(table, value, where),
        _update_sql(table, sql.SQL("n = coalesce(n, 0) + 1"), where),
    ]


def _change_key(random: Random, table: ModelTable) -> list[Statement]:
    return [_update_sql(table, _key_assignments(random, table), _one_row(random, table))]


def _rotate_keys(random: Random, table: ModelTable) -> list[Statement]:
    """Let two rows change their keys by way of a third, all in one transaction."""
    keys = [{name: _value(random, _column(table, name)) for name in table.key} for _ in range(3)]
    order = [(0, 2), (1, 0), (2, 1)]
    return [_update_sql(table, _assign(keys[after]), _match(keys[before])) for before, after in order]


def _reuse_key(random: Random, table: ModelTable) -> list[Statement]:
    """Delete a row and insert its key again."""
    key = {name: _value(random, _column(table, name)) for name in table.key}
    values = [key.get(column.name) or _value(random, column) for column in table.columns]
    return [
        sql.SQL("delete from {} where {}").format(table.identifier, _match(key)),
        sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
            table.identifier, _names(table.columns), sql.SQL(", ").join(values)
        ),
    ]


def _hand_unique_value_on(random: Random, table: ModelTable) -> list[Statement]:
    """Take a secondary unique value from whichever row has it, and give it to another."""
    if table.unique is None:
        return _update(random, table)
    value, unique = _value(random, _column(table, table.unique)), sql.Identifier(table.unique)
    return [
        _update_sql(table, sql.SQL("{} = null").format(unique), sql.SQL("{} = {}").format(unique, value)),
        _update_sql(table, sql.SQL("{} = {}").format(unique, value), _one_row(random, table)),
    ]


def _delete(random: Random, table: ModelTable) -> list[Statement]:
    return [sql.SQL("delete from {} where {}").format(table.identifier, _one_row(random, table))]


def _delete_many(random: Random, table: ModelTable) -> list[Statement]:
    return [sql.SQL("delete from {} where {}").format(table.identifier, _many_rows(random, table))]


def _truncate(random: Random, tables: Sequence[ModelTable]) -> Statement:
    chosen = random.sample(list(tables), random.choice([1, 1, 2]) if len(tables) > 1 else 1)
    return sql.SQL("truncate {}{}").format(
        sql.SQL(", ").join(table.identifier for table in chosen),
        sql.SQL(random.choice(["", " restart identity", " cascade"])),
    )


Operation = Callable[[Random, ModelTable], list[Statement]]
KEYED_OPERATIONS: dict[Operation, int] = {
    _insert: 30,
    _update: 20,
    _update_many: 6,
    _update_large_value: 10,
    _change_key: 8,
    _rotate_keys: 4,
    _reuse_key: 6,
    _hand_unique_value_on: 6,
    _delete: 10,
    _delete_many: 2,
    _insert_many: 2,
}
KEYLESS_OPERATIONS: dict[Operation, int] = {
    _insert: 40,
    _update: 20,
    _update_many: 3,
    _update_large_value: 10,
    _delete: 20,
    _delete_many: 3,
    _insert_many: 2,
}


def _value(random: Random, column: ModelColumn) -> sql.Composable:
    value = random.choice(column.values)
    return sql.SQL("null") if value is None else sql.Literal(value)


def _column(table: ModelTable, name: str) -> ModelColumn:
    return next(column for column in table.columns if column.name == name)


def _names(columns: Sequence[ModelColumn]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


def _update_sql(table: ModelTable, assignments: sql.Composable, where: sql.Composable) -> sql.Composed:
    return sql.SQL("update {} set {} where {}").format(table.identifier, assignments, where)


def _assignments(random: Random, table: ModelTable) -> sql.Composed:
    chosen = random.sample(table.others, random.randint(1, len(table.others)))
    return _assign({column.name: _value(random, column) for column in chosen})


def _key_assignments(random: Random, table: ModelTable) -> sql.Composed:
    changed = random.sample(list(table.key), random.randint(1, len(table.key)))
    return _assign({name: _value(random, _column(table, name)) for name in changed})


def _assign(values: dict[str, sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()
    )


def _match(values: dict[str, sql.Composable]) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()
    )


def _one_row(random: Random, table: ModelTable) -> sql.Composed:
    """Compose a condition that finds a row, if there is any, or the row of a key, if there is one."""
    if table.key and random.random() < 0.7:
        return _match({name: _value(random, _column(table, name)) for name in table.key})
    return sql.SQL("ctid = (select ctid from {} offset {} limit 1)").format(
        table.identifier, sql.Literal(random.randint(0, 20))
    )


def _many_rows(random: Random, table: ModelTable) -> sql.Composed:
    return sql.SQL("ctid in (select ctid from {} where n is not distinct from {} limit {})").format(
        table.identifier,
        sql.SQL(random.choice(["null", "0", "1", "2"])),
        sql.Literal(random.choice([5, 30, 200] if table.key else [3, 10])),
    )
