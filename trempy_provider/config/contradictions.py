"""What single fields cannot see: settings that are right one by one and cannot hold together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from trempy_provider.config.choices import ApplyModeName, ReplicationType
from trempy_provider.config.column_flow import find_column_problems
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.filters import TableFilter
from trempy_provider.config.options import TaskOptions
from trempy_provider.config.reference_index import ReferenceIndex
from trempy_provider.config.table_chain import TableChain
from trempy_provider.config.tables import WILDCARD, TableReference, TableSelection
from trempy_provider.config.transformations import (
    ModifySchemaName,
    ModifyTableName,
    TableTransformation,
    in_order_of_application,
)
from trempy_provider.config.wording import listing, show, suggestion
from trempy_provider.errors import FieldProblem


@dataclass(frozen=True)
class SettingsParts:
    """The valid entries of every section by their position in it."""

    task: TaskOptions | None
    tables: Mapping[int, TableSelection]
    filters: Mapping[int, TableFilter]
    transformations: Mapping[int, TableTransformation]
    all_tables_are_known: bool

    @cached_property
    def tables_by_name(self) -> ReferenceIndex[TableSelection]:
        """Return the tables for look-ups by name."""
        return ReferenceIndex(self.tables, reference_of=lambda table: table)

    @cached_property
    def filters_by_name(self) -> ReferenceIndex[TableFilter]:
        """Return the filters for look-ups by the name of their table."""
        return ReferenceIndex(self.filters, reference_of=lambda entry: entry.table_info)

    @cached_property
    def transformations_by_name(self) -> ReferenceIndex[TableTransformation]:
        """Return the transformations for look-ups by the name of their table."""
        return ReferenceIndex(self.transformations, reference_of=lambda change: change.table_info)

    def references(self) -> Iterator[tuple[str, TableReference]]:
        """Yield the tables that filters and transformations name, each with its path."""
        for i, entry in self.filters.items():
            yield f"filters[{i}].table_info", entry.table_info
        for i, change in self.transformations.items():
            yield f"transformations[{i}].table_info", change.table_info

    def named_tables(self) -> list[tuple[str, str]]:
        """Return the source tables that are named without a pattern, each once."""
        references = [*self.tables.values(), *(reference for _, reference in self.references())]
        names = [(ref.schema_name, ref.table_name) for ref in references if not ref.is_pattern]
        return list(dict.fromkeys(names))

    def transformations_of(self, schema: str, table: str) -> list[tuple[int, TableTransformation]]:
        """Return the transformations of a table in the order in which they are applied."""
        return in_order_of_application(self.transformations_by_name.matching(schema, table))


def find_contradictions(parts: SettingsParts) -> list[FieldProblem]:
    """Return every contradiction, in the order of the checks below."""
    return [problem for check in _CHECKS for problem in check(parts)]


def _repeated_tables(parts: SettingsParts) -> Iterator[FieldProblem]:
    first: dict[str, int] = {}
    for i, table in parts.tables.items():
        earlier = first.setdefault(f"{table.schema_name}\0{table.table_name}", i)
        if earlier != i:
            yield FieldProblem(
                f"tables[{i}]", f"{table.qualified_name} is listed already, as tables[{earlier}]"
            )


def _unlisted_tables(parts: SettingsParts) -> Iterator[FieldProblem]:
    if not parts.all_tables_are_known:
        return
    for path, reference in parts.references():
        if not parts.tables_by_name.has_overlap(reference):
            listed = [table.qualified_name for table in parts.tables.values()]
            meant = suggestion(reference.qualified_name, listed, similarity=0.8)
            yield FieldProblem(
                path, f"is not a table of this task{meant}", reference.qualified_name, listing(listed)
            )


def _useless_schedule(parts: SettingsParts) -> Iterator[FieldProblem]:
    task = parts.task
    if task is None or task.replication_type is not ReplicationType.CDC:
        return
    if task.full_load_settings.schedule is not None:
        yield FieldProblem(
            "task.full_load_settings.schedule",
            "contradicts task.replication_type cdc, which never loads",
            show(task.full_load_settings.schedule),
            "null, or another replication_type",
        )


def _one_name_for_many(parts: SettingsParts) -> Iterator[FieldProblem]:
    for i, change in parts.transformations.items():
        if isinstance(change.settings, ModifyTableName) and WILDCARD in change.table_info.table_name:
            yield FieldProblem(
                f"transformations[{i}].settings.contract.target_table_name",
                f"is one name for all tables that match {change.table_info.qualified_name}",
            )


def _shared_targets(parts: SettingsParts) -> Iterator[FieldProblem]:
    first: dict[tuple[str, str], int] = {}
    for i, table in parts.tables.items():
        if table.is_pattern:
            continue
        target = _target_of(parts, table)
        earlier = first.setdefault(target, i)
        source = parts.tables[earlier]
        if (source.schema_name, source.table_name) != (table.schema_name, table.table_name):
            yield FieldProblem(
                f"tables[{i}]",
                f"would be written to {'.'.join(target)} on the target, as tables[{earlier}] is",
            )


def _tables_onto_themselves(parts: SettingsParts) -> Iterator[FieldProblem]:
    task = parts.task
    if task is None or task.source_conn_id != task.target_conn_id:
        return
    for i, table in parts.tables.items():
        if _target_of(parts, table) == (table.schema_name, table.table_name):
            yield FieldProblem(
                "task.target_conn_id",
                f"is the source, too, so tables[{i}] would be written onto itself",
                show(task.target_conn_id),
            )
            return


def _impossible_columns(parts: SettingsParts) -> Iterator[FieldProblem]:
    for schema, table in parts.named_tables():
        selections = parts.tables_by_name.matching(schema, table)
        if selections:
            yield from find_column_problems(
                next(iter(selections.values())),
                filters=sorted(parts.filters_by_name.matching(schema, table).items()),
                transformations=parts.transformations_of(schema, table),
                reserved=_scd2_columns(parts.task),
            )


def _scd2_columns(task: TaskOptions | None) -> tuple[str, ...]:
    if task is None or task.cdc_settings.mode is not ApplyModeName.SCD2:
        return ()
    return task.cdc_settings.scd2_settings.column_names


def _target_of(parts: SettingsParts, table: TableSelection) -> tuple[str, str]:
    chain = TableChain(table.schema_name, table.table_name)
    for _, change in parts.transformations_of(table.schema_name, table.table_name):
        if isinstance(change.settings, ModifySchemaName | ModifyTableName):
            change.settings.apply_to(chain, CompileContext())
    return chain.schema_name, chain.table_name


_CHECKS: tuple[Callable[[SettingsParts], Iterator[FieldProblem]], ...] = (
    _repeated_tables,
    _unlisted_tables,
    _useless_schedule,
    _tables_onto_themselves,
    _one_name_for_many,
    _shared_targets,
    _impossible_columns,
)
