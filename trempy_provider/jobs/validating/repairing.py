"""Write rows to the target as the source has them, while changes are followed.

The transaction holds the lock on the task's checkpoint, as apply does for each of its own, so that nothing is
applied between the look at the target and the commit: the target stays at one place C of the source's
history.
A row is repaired only if it is known to have been on the source at C what it is now (see `settling`): it has
one version in a look before C and in one after C, and its values are read in the transaction of the latter.
So the target's row becomes exactly what apply would have left at C, and every later change finds it as on the
source: an UPDATE its row, an unchanged TOAST value the right one, an INSERT no row of its key.
A process that is killed leaves nothing behind but what it has committed.

Rows go by COPY into a temporary table of the target's types and from there by one statement of each kind.
If that fails, each half of the rows is tried by itself, down to the single row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from psycopg2 import sql

from trempy_provider.apply_modes.applier import defer_constraints, silence_triggers
from trempy_provider.apply_modes.comparison_plan import ComparedTable
from trempy_provider.apply_modes.version_tables import VersionTables
from trempy_provider.apply_modes.versions import write_versions
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.loading.guarded_copy import is_failing_row
from trempy_provider.postgres.comparison import Keys, RowKey
from trempy_provider.postgres.copy import copy_rows_within
from trempy_provider.postgres.origins import marked_if_local_only
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.tables import Column
from trempy_provider.postgres.translation import SourceStatementError, TargetStatementError
from trempy_provider.postgres.validations import DifferenceKind

REPAIRED = "repaired"
_STAGING = sql.Identifier("pg_temp", "trempy_repair")


class Repairer:
    """Repair rows of one table through one session of the target."""

    def __init__(self, task: ReplicationTask, table: ComparedTable, target: Session) -> None:
        self._task = task
        self._table = table
        self._target = target
        self._is_silent = silence_triggers(target)
        self._target.execute(
            sql.SQL(
                "drop table if exists {staging};"
                "create temporary table {staging} on commit delete rows as select {columns} from {target}"
                " with no data"
            ).format(
                staging=_STAGING,
                columns=sql.SQL(", ").join(column.identifier for column in table.columns),
                target=table.target_table.name.identifier,
            )
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction in which rows may be repaired."""
        with marked_if_local_only(self._target, self._task), self._target.transaction():
            if not self._is_silent:
                defer_constraints(self._target)
            yield

    def repair(self, source: Session, kinds: Mapping[RowKey, DifferenceKind]) -> dict[RowKey, str]:
        """Repair rows, whose source session has the transaction open in which they are certain.

        Return what became of each: REPAIRED, or the SQLSTATE at which its repair failed.
        """
        return self._repair(source, kinds, list(kinds))

    def _repair(
        self, source: Session, kinds: Mapping[RowKey, DifferenceKind], keys: Sequence[RowKey]
    ) -> dict[RowKey, str]:
        try:
            with source.savepoint("trempy_repair"), self._target.savepoint("trempy_repair"):
                self._write(source, {key: kinds[key] for key in keys})
        except (SourceStatementError, TargetStatementError) as error:
            if not is_failing_row(error):
                raise
            if len(keys) == 1:
                return {keys[0]: error.sqlstate}
            middle = len(keys) // 2
            first = self._repair(source, kinds, keys[:middle])
            return first | self._repair(source, kinds, keys[middle:])
        return dict.fromkeys(keys, REPAIRED)

    def _write(self, source: Session, kinds: Mapping[RowKey, DifferenceKind]) -> None:
        present = [key for key, kind in kinds.items() if kind is not DifferenceKind.EXTRA]
        self._target.execute(sql.SQL("truncate {}").format(_STAGING))
        if present:
            self._stage(source, present)
        extra = [key for key, kind in kinds.items() if kind is DifferenceKind.EXTRA]
        if self._table.versioned is not None:
            self._write_versions(source, extra)
            return
        if extra:
            self._target.execute(self._delete_sql(extra))
        if any(kind is DifferenceKind.DIFFERENT for kind in kinds.values()):
            self._target.execute(self._delete_duplicates_sql())
            self._target.execute(self._update_sql())
        if present:
            self._target.execute(self._insert_sql())

    def _stage(self, source: Session, keys: Sequence[RowKey]) -> None:
        query = self._table.source.chosen_sql(self._table.values, Keys(keys))
        names = [column.name for column in self._table.columns]
        copy_rows_within(source, self._target, query=query, into=_STAGING, columns=names)

    def _delete_sql(self, keys: Sequence[RowKey]) -> sql.Composed:
        return sql.SQL("delete from {rows} t where (t.tableoid, t.ctid) in ({chosen})").format(
            rows=self._table.target_table.rows,
            chosen=self._table.target.chosen_sql([sql.SQL("t.tableoid"), sql.SQL("t.ctid")], Keys(keys)),
        )

    def _delete_duplicates_sql(self) -> sql.Composed:
        """Compose the deletion of all but one of the rows that share the key of a staged one."""
        return sql.SQL(
            "delete from {rows} t using ("
            "select t.tableoid, t.ctid, row_number() over (partition by {key}) as n "
            "from {rows} t join {staging} s on {match}) d "
            "where t.tableoid = d.tableoid and t.ctid = d.ctid and d.n > 1"
        ).format(
            rows=self._table.target_table.rows,
            key=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in self._table.key),
            staging=_STAGING,
            match=self._match_sql(),
        )

    def _update_sql(self) -> sql.Composed:
        columns = [column for column in self._table.columns if column.identity != "a"]
        return sql.SQL("update {rows} t set {assignments} from {staging} s where {match}").format(
            rows=self._table.target_table.rows,
            assignments=sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(c.identifier) for c in columns),
            staging=_STAGING,
            match=self._match_sql(),
        )

    def _insert_sql(self) -> sql.Composed:
        """Compose the insertion of the staged rows that the target does not have."""
        columns = sql.SQL(", ").join(column.identifier for column in self._table.columns)
        return sql.SQL(
            "insert into {target} ({columns}) overriding system value select {columns} from {staging} s "
            "where not exists (select from {rows} t where {match})"
        ).format(
            target=self._table.target_table.name.identifier,
            columns=columns,
            staging=_STAGING,
            rows=self._table.target_table.rows,
            match=self._match_sql(),
        )

    def _match_sql(self) -> sql.Composed:
        by_name = {column.name: column for column in self._table.columns}
        return sql.SQL(" and ").join(_equal_sql(by_name[name]) for name in self._table.key)

    def _write_versions(self, source: Session, extra: Sequence[RowKey]) -> None:
        """Let staged rows begin versions, and end those of the rows that the source does not have.

        They hold from the source's present time on; later changes have later times, or follow a microsecond
        after.
        """
        table = self._table.versioned
        assert table is not None
        tables = VersionTables(self._target)
        states, versions = tables.pair_of(table)
        at = source.fetch_value("select clock_timestamp()").isoformat()
        moment = sql.SQL("{}::timestamptz").format(sql.Literal(at))
        holes = {"states": states, "staging": _STAGING, "at": moment}
        self._target.execute(
            table.fill(
                "insert into {states} ({columns}, {number}, {moment}, {present}) "
                "select {columns}, 1, {at}, true from {staging}",
                **holes,
            )
        )
        if extra:
            values = [table.key_values_sql("t"), sql.SQL("1"), moment, sql.SQL("false")]
            self._target.execute(
                table.fill(
                    "insert into {states} ({key}, {number}, {moment}, {present}) {ended}",
                    ended=self._table.target.chosen_sql(values, Keys(extra)),
                    **holes,
                )
            )
        write_versions(self._target.execute, table, states=states, versions=versions)
        tables.forget()


def _equal_sql(column: Column) -> sql.Composed:
    """Compose the condition that row `t` of the target and row `s` have one value, by the type's own `=`."""
    operator: sql.Composable = sql.SQL("=")
    if column.equality is not None:
        operator = sql.SQL("operator({}.{})").format(
            sql.Identifier(column.equality[0]), sql.SQL(column.equality[1])
        )
    cast = sql.SQL(f"::{column.stored_type_name}" if column.is_domain else "")
    return sql.SQL("t.{name}{cast} {operator} s.{name}{cast}").format(
        name=column.identifier, cast=cast, operator=operator
    )
