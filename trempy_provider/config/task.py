"""A replication task: the whole of what a user writes in the settings.

Everything a caller needs is importable from here; the parts live in the modules named below.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from trempy_provider.config.choices import (
    ApplyModeName,
    DeadLetterPolicy,
    OperationName,
    OriginPolicy,
    ReplicationType,
    SchemaEvolution,
    StartMode,
    TruncatePolicy,
)
from trempy_provider.config.contradictions import SettingsParts, find_contradictions
from trempy_provider.config.fields import SettingsModel, Text
from trempy_provider.config.filters import TableFilter
from trempy_provider.config.options import (
    CdcOptions,
    ErrorHandling,
    FullLoadOptions,
    Scd2Options,
    TaskOptions,
)
from trempy_provider.config.tables import TableReference, TableSelection, select_table
from trempy_provider.config.transformations import TableTransformation

OBJECT_NAME_PREFIX = "trempy_"


class ReplicationTask(SettingsModel):
    """The settings of one replication task."""

    schema_uri: Text | None = Field(
        default=None, alias="$schema", description="Where an editor finds the JSON Schema of this file."
    )
    task: TaskOptions = Field(description="What is replicated from where to where, and how.")
    error_handling: ErrorHandling = Field(
        default=ErrorHandling(), description="Which errors stop the task instead of being recorded."
    )
    tables: Annotated[tuple[TableSelection, ...], Field(min_length=1)] = Field(
        description="The tables that are replicated."
    )
    filters: tuple[TableFilter, ...] = Field(
        default=(), description="What rows must fulfil; all filters of a table must hold."
    )
    transformations: tuple[TableTransformation, ...] = Field(
        default=(), description="What is changed on the way, in order of priority, then of listing."
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> ReplicationTask:
        problems = find_contradictions(self.parts())
        if problems:
            raise PydanticCustomError("contradictions", "{problems}", {"problems": problems})
        return self

    def parts(self) -> SettingsParts:
        """Return the entries of every section by their position."""
        return SettingsParts(
            task=self.task,
            tables=dict(enumerate(self.tables)),
            filters=dict(enumerate(self.filters)),
            transformations=dict(enumerate(self.transformations)),
            all_tables_are_known=True,
        )

    def selection_of(self, schema: str, table: str) -> TableSelection | None:
        """Return the entry that covers a source table: its own before a pattern, then the first listed."""
        return select_table(self.tables, schema, table)

    @property
    def task_name(self) -> str:
        """Return the name of the task."""
        return self.task.task_name

    @property
    def replication_type(self) -> ReplicationType:
        """Return what the task does."""
        return self.task.replication_type

    @property
    def start_mode(self) -> StartMode:
        """Return where the task starts."""
        return self.task.start_mode

    @property
    def full_load(self) -> FullLoadOptions:
        """Return how existing rows are loaded."""
        return self.task.full_load_settings

    @property
    def cdc(self) -> CdcOptions:
        """Return how changes are captured and applied."""
        return self.task.cdc_settings

    @property
    def publication_name(self) -> str:
        """Return the name of the task's publication on the source."""
        return OBJECT_NAME_PREFIX + self.task_name

    @property
    def slot_name(self) -> str:
        """Return the name of the task's replication slot on the source."""
        return OBJECT_NAME_PREFIX + self.task_name

    @property
    def loads_fully(self) -> bool:
        """Tell whether the task loads existing rows."""
        return self.replication_type is not ReplicationType.CDC

    @property
    def captures_changes(self) -> bool:
        """Tell whether the task follows changes."""
        return self.replication_type is not ReplicationType.FULL_LOAD

    @property
    def captures_local_only(self) -> bool:
        """Tell whether changes that the source received by replication are left out, and ours are marked."""
        return self.captures_changes and self.cdc.origin is OriginPolicy.NONE

    @property
    def source_conn_id(self) -> str:
        """Return the Airflow connection of the source."""
        return self.task.source_conn_id

    @property
    def target_conn_id(self) -> str:
        """Return the Airflow connection of the target."""
        return self.task.target_conn_id

    @property
    def broker_conn_id(self) -> str:
        """Return the Airflow connection of the broker."""
        return self.task.broker_conn_id

    @property
    def metadata_conn_id(self) -> str:
        """Return the Airflow connection of the metadata: the target's unless another is named."""
        return self.task.metadata_conn_id or self.task.target_conn_id

    @property
    def has_metadata_database(self) -> bool:
        """Tell whether a part of the metadata is kept in another database than the target."""
        return self.metadata_conn_id != self.target_conn_id


__all__ = [
    "ApplyModeName",
    "CdcOptions",
    "DeadLetterPolicy",
    "ErrorHandling",
    "FullLoadOptions",
    "OperationName",
    "OriginPolicy",
    "ReplicationTask",
    "ReplicationType",
    "Scd2Options",
    "SchemaEvolution",
    "StartMode",
    "TableFilter",
    "TableReference",
    "TableSelection",
    "TableTransformation",
    "TaskOptions",
    "TruncatePolicy",
]
