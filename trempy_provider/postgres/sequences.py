"""Set the target's sequences where the source's stand, for whoever writes to the target afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg2 import sql

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import Column, QualifiedName, Table

SequenceValue = tuple[int, bool]  # as setval() takes it: last value, is called


def planned_sequences(table: Table, plan: TablePlan) -> dict[str, QualifiedName]:
    """Return the source's sequences of serial and identity columns, by the target's columns."""
    sources = {column.name: table.column(column.source) for column in plan.columns if column.source}
    return {name: column.sequence for name, column in sources.items() if column.sequence is not None}


def read_sequence_values(source: Session, sequences: Mapping[str, QualifiedName]) -> dict[str, SequenceValue]:
    """Return where sequences stand, by column; one that the role may not read is left out."""
    return {
        column: _value(source, sequence)
        for column, sequence in sequences.items()
        if source.fetch_value(static_sql("may_read_sequence"), {"sequence": str(sequence)})
    }


def set_sequences(target: Session, table: Table, values: Mapping[str, SequenceValue]) -> None:
    """Set the sequences of the target table's columns; where no value is known, to the column's highest.

    A sequence that the role may not set stays as it is.
    """
    for column in table.columns:
        value = wanted_value(target, table, column, values)
        if column.sequence is not None and value is not None and _may_set(target, column.sequence):
            target.execute(set_sequence_sql(column.sequence, value))


def advance_sequence(target: Session, sequence: QualifiedName, value: SequenceValue) -> bool:
    """Set a sequence of the target unless it is as far already; return whether it was set.

    One that has been used on the target beyond the source's is never set back.
    """
    increment = target.fetch_value(static_sql("sequence_increment"), {"sequence": str(sequence)})
    present, wanted = (
        last_value + (increment if is_called else 0)
        for last_value, is_called in (_value(target, sequence), value)
    )
    if (wanted - present) * increment <= 0:
        return False
    target.execute(set_sequence_sql(sequence, value))
    return True


def wanted_value(
    target: Session, table: Table, column: Column, values: Mapping[str, SequenceValue]
) -> SequenceValue | None:
    """Return where the sequence of a target table's column has to stand, None if it has none or no rows."""
    if column.sequence is None:
        return None
    return values.get(column.name) or _highest_value(target, table.name, column)


def set_sequence_sql(sequence: QualifiedName, value: SequenceValue) -> sql.Composed:
    """Compose the call of setval."""
    last_value, is_called = value
    return sql.SQL("select setval({sequence}::regclass, {last_value}, {is_called})").format(
        sequence=sql.Literal(str(sequence)),
        last_value=sql.Literal(last_value),
        is_called=sql.Literal(is_called),
    )


def _value(session: Session, sequence: QualifiedName) -> SequenceValue:
    row = session.fetch_one(sql.SQL("select last_value, is_called from {}").format(sequence.identifier))
    assert row is not None
    return row[0], row[1]


def _may_set(target: Session, sequence: QualifiedName) -> bool:
    return bool(target.fetch_value(static_sql("may_set_sequence"), {"sequence": str(sequence)}))


def _highest_value(target: Session, table: QualifiedName, column: Column) -> SequenceValue | None:
    query = sql.SQL("select max({}) from {}").format(column.identifier, table.identifier)
    highest = target.fetch_value(query)
    return None if highest is None else (highest, True)
