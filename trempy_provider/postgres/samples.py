"""Try the settings on a sample of one table's rows, in a transaction of the target that is rolled back.

The sample are the first rows that the source's table has, read in one snapshot: the same rows for every
query.
Where the target has the table, a temporary table like it takes the rows, so that nobody who uses the target's
is kept waiting.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg2 import sql

from trempy_provider.config.chaining import masks_of
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Expression
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.catalog import read_table, selected_columns
from trempy_provider.postgres.copy import copy_in_sql, copy_out_sql
from trempy_provider.postgres.expression_sql import bare_column, expression_sql
from trempy_provider.postgres.plan_fitting import fit_plan
from trempy_provider.postgres.schema import (
    add_key_sql,
    create_keys,
    create_table_sql,
    create_target_table,
    missing_collations,
    target_columns,
)
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.postgres.version_columns import first_version_sql

MASKED = "(masked)"
_SAMPLE_BYTES_MAX = 64 * 1024 * 1024
_NEXTVAL = re.compile(r"nextval\(\(?'(?:[^']|'')*'(?:::text\))?::regclass\)")
_SEQUENCE_DEFAULTS = """
select a.attname, pg_get_expr(d.adbin, d.adrelid)
from pg_attrdef d
    join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
where d.adrelid = ('pg_temp.' || %s)::regclass and pg_get_expr(d.adbin, d.adrelid) like '%%nextval(%%'
"""

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """What the settings make of some rows of a table; `before` and `after` are the same rows.

    `rejected` are the rows that do not pass, by the filter; a row may fail several.
    `ddl` makes the target's table, () where it is there.
    """

    rows: int
    passing_rows: int
    rejected: Mapping[str, int]
    ddl: tuple[str, ...]
    before: tuple[Row, ...] = field(default=(), repr=False)
    after: tuple[Row, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SampleTrial:
    """What samples of all tables have in common; both sessions are in transactions."""

    task: ReplicationTask
    source: Session
    target: Session
    context: CompileContext
    moment: datetime
    sample_rows: int
    shown_rows: int

    def target_of(self, table: Table) -> QualifiedName:
        """Return where the settings put a table."""
        return plan_table(self.task, table, context=self.context).target

    def run(self, table: Table) -> Sample:
        """Apply the settings to the first rows of a table; raise errors of the settings or either server."""
        plan = plan_table(self.task, table, context=self.context).require_complete()
        present = read_table(self.target, plan.target)
        ddl: tuple[str, ...] = ()
        if present is None or self.task.full_load.recreate_table_if_exists:
            self._require_leave_to_create(plan)
            place, ddl = self._create(table, plan, is_taken=present is not None)
        else:
            plan = fit_plan(plan, present)
            place = self._create_like(present)
        if plan.versions is not None:
            self.target.execute(first_version_sql(place, plan.versions, self.moment))
        rows, passing_rows, rejected = self._count(table, plan)
        self._copy(table, plan, place)
        if ddl:
            create_keys(self.target, plan.keys, name=place)
        return Sample(
            rows=rows,
            passing_rows=passing_rows,
            rejected=rejected,
            ddl=ddl,
            before=self._read_before(table, plan),
            after=self._read_after(plan, place),
        )

    def _require_leave_to_create(self, plan: TablePlan) -> None:
        task = self.task
        if not (task.task.create_table_if_not_exists or task.full_load.recreate_table_if_exists):
            raise ConfigurationError(
                f"target table {plan.target} does not exist",
                hint="Create it, or set create_table_if_not_exists to true.",
            )

    def _create(
        self, table: Table, plan: TablePlan, *, is_taken: bool
    ) -> tuple[QualifiedName, tuple[str, ...]]:
        """Create the target's table; under another name where there is one that would be replaced."""
        columns = target_columns(self.task, table, plan)
        name = plan.target
        place = QualifiedName(name.schema_name, f"trempy_dry_run_{table.oid}") if is_taken else name
        missing = missing_collations(self.target, columns)
        version = self.target.server_version
        statements = [
            create_table_sql(name=name, columns=columns, server_version=version, missing_collations=missing),
            *(add_key_sql(key, table_name=name, key_name=key.name) for key in plan.keys),
        ]
        created = create_target_table(self.source, self.target, name=place, columns=columns)
        types = (f"create type {each} …;" for each in created.created_types)
        return place, (*types, *(f"{self.target.text_of(each)};" for each in statements))

    def _create_like(self, present: Table) -> QualifiedName:
        place = QualifiedName("pg_temp", f"trempy_dry_run_{present.oid}")
        self.target.execute(
            sql.SQL(
                "create temporary table {place} (like {present} including defaults including generated "
                "including identity including constraints including indexes)"
            ).format(place=sql.Identifier(place.table_name), present=present.name.identifier)
        )
        self._count_apart(place)
        return place

    def _count_apart(self, place: QualifiedName) -> None:
        """Let defaults take numbers of a temporary sequence: no rollback gives back those of the target's."""
        defaults = self.target.fetch_all(_SEQUENCE_DEFAULTS, [place.table_name])
        if defaults:
            self.target.execute(f"create temporary sequence {place.table_name}_seq")
        for column, default in defaults:
            apart = _NEXTVAL.sub(f"nextval('pg_temp.{place.table_name}_seq'::regclass)", default)
            self.target.execute(
                sql.SQL("alter table pg_temp.{place} alter column {column} set default {default}").format(
                    place=sql.Identifier(place.table_name),
                    column=sql.Identifier(column),
                    default=sql.SQL(apart),
                )
            )

    def _count(self, table: Table, plan: TablePlan) -> tuple[int, int, Mapping[str, int]]:
        conditions = [(path, _condition_sql(condition)) for path, condition in plan.conditions]
        passing = sql.SQL(" and ").join([sql.SQL("true"), *(each for _, each in conditions)])
        counts = [
            sql.SQL("count(*)"),
            sql.SQL("count(*) filter (where {})").format(passing),
            *(sql.SQL("count(*) filter (where {} is not true)").format(each) for _, each in conditions),
        ]
        query = sql.SQL("select {counts} from {sample}").format(
            counts=sql.SQL(", ").join(counts), sample=self._sample_sql(table)
        )
        row = self.source.fetch_one(query)
        assert row is not None
        paths = [path.removesuffix(".settings") for path, _ in conditions]
        return row[0], row[1], dict(zip(paths, row[2:], strict=True))

    def _copy(self, table: Table, plan: TablePlan, place: QualifiedName) -> None:
        buffer = _BoundedBuffer(table)
        columns = [expression_sql(column.value, bare_column) for column in plan.columns]
        query = self._passing_sql(table, plan, columns)
        self.source.copy_to(copy_out_sql(query, binary=False), buffer)
        buffer.seek(0)
        names = [column.name for column in plan.columns]
        self.target.copy_from(copy_in_sql(place.identifier, names, binary=False), buffer)

    def _read_before(self, table: Table, plan: TablePlan) -> tuple[Row, ...]:
        """Return the first rows that pass, as they are on the source; what is masked stays hidden."""
        columns = selected_columns(self.task, table)
        names = [column.name for column in columns]
        masked = masks_of(self.task, (table.name.schema_name, table.name.table_name), names).masks
        values = [
            sql.SQL("case when {name} is not null then {text} end").format(
                name=column.identifier, text=sql.Literal(MASKED)
            )
            if column.name in masked
            else sql.SQL("{}::text").format(column.identifier)
            for column in columns
        ]
        query = self._passing_sql(table, plan, values) + self._limit_sql()
        return _rows(names, self.source.fetch_all(query))

    def _read_after(self, plan: TablePlan, place: QualifiedName) -> tuple[Row, ...]:
        """Return the rows written first."""
        names = [column.name for column in plan.columns]
        names += [] if plan.versions is None else plan.versions.names
        query = sql.SQL("select {values} from {place} order by ctid").format(
            values=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            place=place.identifier,
        )
        return _rows(names, self.target.fetch_all(query + self._limit_sql()))

    def _passing_sql(self, table: Table, plan: TablePlan, values: Sequence[sql.Composable]) -> sql.Composed:
        conditions = [_condition_sql(condition) for _, condition in plan.conditions]
        return sql.SQL("select {values} from {sample} where {conditions}").format(
            values=sql.SQL(", ").join(values),
            sample=self._sample_sql(table),
            conditions=sql.SQL(" and ").join([sql.SQL("true"), *conditions]),
        )

    def _sample_sql(self, table: Table) -> sql.Composed:
        return sql.SQL("(select * from {rows} limit {limit}) sample").format(
            rows=table.rows, limit=sql.Literal(self.sample_rows)
        )

    def _limit_sql(self) -> sql.Composed:
        return sql.SQL(" limit {}").format(sql.Literal(self.shown_rows))


class _BoundedBuffer(io.BytesIO):
    """Holds a sample; rows that are too large for memory are no sample."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def write(self, chunk: bytes, /) -> int:  # type: ignore[override]  # COPY writes bytes
        """Take a chunk; raise ConfigurationError when it is too much."""
        if self.tell() + len(chunk) > _SAMPLE_BYTES_MAX:
            raise ConfigurationError(
                f"the sample of {self._table.name} is larger than {_SAMPLE_BYTES_MAX:,} bytes",
                hint="Take fewer rows.",
            )
        return super().write(chunk)


def _condition_sql(condition: Expression) -> sql.Composable:
    return expression_sql(condition, bare_column)


def _rows(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[Row, ...]:
    return tuple(dict(zip(names, row, strict=True)) for row in rows)
