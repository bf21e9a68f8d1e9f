"""Set the target's sequences where the source's stand, for whoever writes to the target afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg2 import sql

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import Column, QualifiedName, Table

SequenceValue = tuple[int, bool]  # as setval() takes it: last value, is called


def read_sequence_values(source: Session, sequences: Mapping[str, QualifiedName]) -> dict[str, SequenceValue]:
    """Return where the sequences of serial and identity columns stand, by column.

    A sequence that the role may not read is left out.
    """
    values: dict[str, SequenceValue] = {}
    for column, sequence in sequences.items():
        if _may_read(source, sequence):
            row = source.fetch_one(
                sql.SQL("select last_value, is_called from {}").format(sequence.identifier)
            )
            assert row is not None
            values[column] = (row[0], row[1])
    return values


def set_sequences(target: Session, table: Table, values: dict[str, SequenceValue]) -> None:
    """Set the sequences of the target table's columns; where no value is known, to the column's highest.

    A sequence that the role may not set stays as it is.
    """
    for column in table.columns:
        if column.sequence is not None:
            value = values.get(column.name) or _highest_value(target, table.name, column)
            if value is not None and _may_set(target, column.sequence):
                target.execute(set_sequence_sql(column.sequence, value))


def set_sequence_sql(sequence: QualifiedName, value: SequenceValue) -> sql.Composed:
    """Compose the call of setval."""
    last_value, is_called = value
    return sql.SQL("select setval({sequence}::regclass, {last_value}, {is_called})").format(
        sequence=sql.Literal(str(sequence)),
        last_value=sql.Literal(last_value),
        is_called=sql.Literal(is_called),
    )


def _may_read(source: Session, sequence: QualifiedName) -> bool:
    return bool(source.fetch_value(static_sql("may_read_sequence"), {"sequence": str(sequence)}))


def _may_set(target: Session, sequence: QualifiedName) -> bool:
    return bool(target.fetch_value(static_sql("may_set_sequence"), {"sequence": str(sequence)}))


def _highest_value(target: Session, table: QualifiedName, column: Column) -> SequenceValue | None:
    query = sql.SQL("select max({}) from {}").format(column.identifier, table.identifier)
    highest = target.fetch_value(query)
    return None if highest is None else (highest, True)
