"""Empty tables of the target as a TRUNCATE emptied their sources.

All tables of a TRUNCATE are emptied by one statement, so that foreign keys between them do not matter.
Where a table that is not among them refers to one, PostgreSQL refuses TRUNCATE even with nobody's rows there:
then the rows are deleted, to which triggers and foreign keys are as quiet or as loud as to other deletes.
See "TRUNCATE" in PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.postgres.translation import TargetStatementError

_REFERRED_TO = (
    "0A000"  # feature_not_supported: "cannot truncate a table referenced in a foreign key constraint"
)


def truncate_tables(session: Session, targets: Sequence[Table], *, restart_identity: bool) -> None:
    """Empty tables in the session's open transaction; sequences start anew where the role owns them."""
    try:
        with session.savepoint("trempy_truncate"):
            session.execute(truncate_sql(targets))
    except TargetStatementError as error:
        if error.sqlstate != _REFERRED_TO:
            raise
        session.execute(delete_all_sql(targets))
    if restart_identity:
        for sequence in _owned_sequences(session, targets):
            session.execute(sql.SQL("alter sequence {} restart").format(sequence.identifier))


def truncate_sql(targets: Sequence[Table]) -> sql.Composed:
    """Compose the TRUNCATE of tables, without those that inherit from them."""
    return sql.SQL("truncate {}").format(sql.SQL(", ").join(table.rows for table in targets))


def delete_all_sql(targets: Sequence[Table]) -> sql.Composed:
    """Compose the deletion of all rows of tables in one statement, at whose end foreign keys are checked."""
    *others, last = [sql.SQL("delete from {}").format(table.rows) for table in targets]
    if not others:
        return last
    parts = [sql.SQL("t{} as ({})").format(sql.SQL(str(i)), delete) for i, delete in enumerate(others)]
    return sql.SQL("with {} {}").format(sql.SQL(", ").join(parts), last)


def _owned_sequences(session: Session, targets: Sequence[Table]) -> list[QualifiedName]:
    sequences = [column.sequence for table in targets for column in table.columns if column.sequence]
    names = {
        "schemas": [sequence.schema_name for sequence in sequences],
        "names": [sequence.table_name for sequence in sequences],
    }
    return [QualifiedName(*row) for row in session.fetch_all(static_sql("owned_sequences"), names)]
