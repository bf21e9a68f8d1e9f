"""Values that an UPDATE did not send, on their way into a version: the one before has them.

Values are projected before they are filled, so a column made of several is made anew when some were unsent.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.statements import unsent_error, unsent_names
from trempy_provider.apply_modes.versioned_table import VersionedColumn, VersionedTable


def unfiltered_sql(projection: Projection, mask: sql.Composed) -> sql.Composed:
    """Compose the condition that by a mask no filter reads what was sent."""
    read = {name for condition in projection.conditions for name in condition.columns}
    return sql.SQL("({})").format(
        sql.SQL(" and ").join(
            sql.SQL("substr({}, {}, 1) = 'u'").format(mask, sql.Literal(index + 1))
            for index, column in enumerate(projection.staged)
            if column.name in read
        )
    )


def filled_sql(
    projection: Projection, column: ProjectedColumn, versioned: VersionedColumn, table: VersionedTable
) -> sql.Composed:
    """Compose the assignment of a column, of whose inputs some may not have been sent.

    When none was, the version before has the value; when some were, it is made anew, of what was sent and of
    what the version before has.
    """
    if not column.staged_indexes:
        return table.fill("{name} = s.{name}", name=column.identifier)
    unsent = [_unsent_sql(table, index) for index in column.staged_indexes]
    template = "{name} = case when {all_unsent} then {former} {partly}else s.{name} end"
    return table.fill(
        template,
        name=column.identifier,
        all_unsent=sql.SQL(" and ").join(unsent),
        former=versioned.value_sql("l"),
        partly=_remade_sql(projection, column, table) if len(unsent) > 1 else sql.SQL(""),
    )


def _remade_sql(projection: Projection, column: ProjectedColumn, table: VersionedTable) -> sql.Composable:
    """Compose the value of a column made of several, of which some were not sent.

    What was sent stands in the state's own columns; `require_known` has refused rows of which it does not.
    """
    names = [projection.staged[index].name for index in column.staged_indexes]
    if any(name not in projection.kept for name in names):
        return sql.SQL("")
    former = {column.name: column for column in table.columns}

    def write(name: str) -> sql.Composable:
        kept = projection.kept[name]
        return table.fill(
            "(case when {unsent} then {former} else s.{name} end)",
            unsent=_unsent_sql(table, column.staged_indexes[names.index(name)]),
            former=former[kept].value_sql("l"),
            name=sql.Identifier(kept),
        )

    some = sql.SQL(" or ").join(_unsent_sql(table, index) for index in column.staged_indexes)
    return sql.SQL("when {some} then {value} ").format(some=some, value=column.value_sql(write))


def _unsent_sql(table: VersionedTable, index: int) -> sql.Composed:
    return table.fill("substr(s.{mask}, {place}, 1) = 'u'", place=sql.Literal(index + 1))


def require_known(projection: Projection, mask: str) -> None:
    """Raise TargetStatementError where a value that was not sent is needed beside others that were.

    It is needed when filters read several columns, or when a value is made of several.
    """
    unsent = unsent_names(projection, mask)
    filtered = {name for condition in projection.conditions for name in condition.columns}
    if filtered & unsent and filtered - unsent:
        raise unsent_error(projection, "a filter", min(filtered & unsent))
    for column in projection.columns:
        inputs = {projection.staged[index].name for index in column.staged_indexes}
        if inputs & unsent and inputs - unsent and not inputs <= projection.kept.keys():
            raise unsent_error(projection, f"column {column.name}", min(inputs & unsent))
