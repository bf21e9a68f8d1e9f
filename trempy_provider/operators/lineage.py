"""What operators that write to the target tell OpenLineage: tables, and the columns they are made of.

Airflow's OpenLineage provider is optional; it asks, and only then is the source's catalog read.
Names are those of databases, tables and columns; a namespace is a server's host and port, never a role.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.jobs.lineage import ColumnLineage, TableLineage, lineage
from trempy_provider.operators.base import TrempyOperator
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.tables import QualifiedName

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

DEFAULT_PORT = 5432


class LineageOperator(TrempyOperator):
    """Tell OpenLineage which tables of the target are made of which of the source, column by column."""

    def lineage_tables(self) -> Collection[str] | None:
        """Return the source tables that this task has written, as `schema.table`; None means all."""
        return None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002  # the provider's signature
        """Return datasets with their schemas, and the outputs' column lineage."""
        from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415  # it is optional

        task = self.replication_task()
        endpoints = endpoints_of(task)
        found = lineage(task, source=endpoints.source, tables=self.lineage_tables())
        writer = _Datasets(_Place(endpoints.source), _Place(endpoints.target))
        return OperatorLineage(
            inputs=[writer.input(table) for table in found],
            outputs=[writer.output(table) for table in found],
        )


class _Place:
    """A database as OpenLineage names it."""

    def __init__(self, endpoint: Endpoint) -> None:
        parameters = endpoint.parameters()
        self.namespace = f"postgres://{parameters.host or 'localhost'}:{parameters.port or DEFAULT_PORT}"
        self._database = parameters.dbname or ""

    def name_of(self, table: QualifiedName) -> str:
        return f"{self._database}.{table.schema_name}.{table.table_name}"


class _Datasets:
    def __init__(self, source: _Place, target: _Place) -> None:
        # The classes come with the optional provider.
        from openlineage.client import event_v2, facet_v2  # noqa: PLC0415

        self._events, self._facets = event_v2, facet_v2
        self._source, self._target = source, target

    def input(self, table: TableLineage) -> Any:
        return self._events.InputDataset(
            namespace=self._source.namespace,
            name=self._source.name_of(table.source),
            facets={"schema": self._schema(table.source_columns)},
        )

    def output(self, table: TableLineage) -> Any:
        columns = [(column.name, column.type_name) for column in table.columns]
        return self._events.OutputDataset(
            namespace=self._target.namespace,
            name=self._target.name_of(table.target),
            facets={"schema": self._schema(columns), "columnLineage": self._column_lineage(table)},
        )

    def _schema(self, columns: Collection[tuple[str, str]]) -> Any:
        schema = self._facets.schema_dataset
        fields = [schema.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in columns]
        return schema.SchemaDatasetFacet(fields=fields)

    def _column_lineage(self, table: TableLineage) -> Any:
        facet = self._facets.column_lineage_dataset
        filtering = facet.Transformation(type="INDIRECT", subtype="FILTER", masking=False)
        fields = {
            column.name: facet.Fields(
                inputFields=[self._field(table, name, self._made(column)) for name in column.inputs]
            )
            for column in table.columns
            if column.inputs
        }
        filters = [self._field(table, name, filtering) for name in table.filter_columns]
        return facet.ColumnLineageDatasetFacet(fields=fields, dataset=filters)

    def _made(self, column: ColumnLineage) -> Any:
        return self._facets.column_lineage_dataset.Transformation(
            type="DIRECT",
            subtype="IDENTITY" if column.is_copied else "TRANSFORMATION",
            masking=column.is_masked,
        )

    def _field(self, table: TableLineage, name: str, transformation: Any) -> Any:
        return self._facets.column_lineage_dataset.InputField(
            namespace=self._source.namespace,
            name=self._source.name_of(table.source),
            field=name,
            transformations=[transformation],
        )
