"""The options of a replication task: the keys below `task` and `error_handling`."""

from __future__ import annotations

from pydantic import Field, model_validator

from trempy_provider.config.choices import (
    ApplyModeName,
    DeadLetterPolicy,
    MessageFormat,
    OriginPolicy,
    ReplicationType,
    SchemaEvolution,
    StartMode,
    TruncatePolicy,
)
from trempy_provider.config.fields import (
    SECONDS_MAX,
    ConnectionId,
    Flag,
    Name,
    SettingsModel,
    Text,
    first_repeated,
    refused,
)
from trempy_provider.config.monitoring import MonitorOptions
from trempy_provider.config.schedule import Schedule

TASK_NAME_MAX_LENGTH = 50  # leaves room for the prefix of the slot, 63 bytes at most
MESSAGE_MAX_BYTES = 128 * 1024 * 1024  # RabbitMQ's max_message_size up to 3.13


class FullLoadOptions(SettingsModel):
    """The options of a full load."""

    recreate_table_if_exists: Flag = Field(
        default=False, description="Whether a target table is dropped and created anew by a load."
    )
    truncate_before_insert: Flag = Field(
        default=False, description="Whether rows already in a target table are removed by a load."
    )
    schedule: Schedule | None = Field(
        default=None, description="When full loads recur; null means only when they are started."
    )
    parallel_streams: int = Field(
        default=2, strict=True, ge=1, le=64, description="Number of concurrent COPY streams."
    )
    split_bytes: int = Field(
        default=256 * 1024 * 1024,
        strict=True,
        ge=8192,
        le=2**63 - 1,
        description="Size above which a table is loaded in several parts at once.",
    )


class ValidationOptions(SettingsModel):
    """The options of validations."""

    schedule: Schedule | None = Field(
        default=None, description="When validations recur; null means only when they are started."
    )
    repair: Flag = Field(
        default=False, description="Whether the DAG writes rows that differ as the source has them."
    )
    rows_per_second: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=1_000_000_000,
        description="How many rows a second are compared at most; null means no limit.",
    )


class StatisticsOptions(SettingsModel):
    """What is noted of a task over time, for the page Replication."""

    interval_seconds: int | None = Field(
        default=60,
        strict=True,
        ge=10,
        le=3600,
        description="How often it is noted how far the task is while changes are captured; null means never.",
    )
    minute_retention_hours: int = Field(
        default=48, strict=True, ge=1, le=24 * 366, description="How long there is a row for each minute."
    )
    hour_retention_days: int = Field(
        default=60, strict=True, ge=1, le=3660, description="How long there is a row for each hour."
    )
    day_retention_days: int = Field(
        default=1100, strict=True, ge=1, le=36600, description="How long there is a row for each day."
    )
    wal_disk_bytes: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=2**63 - 1,
        description="How much WAL the source's disk can take; null means that nobody has said. "
        "The page Replication tells when it is full at the present growth.",
    )


class Scd2Options(SettingsModel):
    """The columns that SCD2 adds to a target table."""

    start_date_column_name: Name = Field(
        default="scd_start_date", description="Column with the time from which a version is valid."
    )
    end_date_column_name: Name = Field(
        default="scd_end_date",
        description="Column with the time at which a version ended; null while current.",
    )
    current_column_name: Name = Field(
        default="scd_current", description="Column that is 1 for the current version and 0 for all others."
    )

    @property
    def column_names(self) -> tuple[str, str, str]:
        """Return the names in the order start, end, current."""
        return self.start_date_column_name, self.end_date_column_name, self.current_column_name

    @model_validator(mode="after")
    def _refuse_equal_names(self) -> Scd2Options:
        twice = first_repeated(self.column_names)
        if twice is not None:
            field = "current_column_name" if self.column_names[2] == twice else "end_date_column_name"
            raise refused("is the name of another SCD2 column", field=field, allowed="three different names")
        return self


class CdcOptions(SettingsModel):
    """The options of capture and apply."""

    mode: ApplyModeName = Field(
        default=ApplyModeName.DEFAULT, description="How changes are written to the target."
    )
    scd2_settings: Scd2Options = Field(
        default=Scd2Options(), description="The columns that the mode `scd2` adds."
    )
    run_duration_seconds: int = Field(
        default=3600,
        strict=True,
        ge=1,
        le=SECONDS_MAX,
        description="Length of one CDC lease, that is, of one DAG run.",
    )
    batch_max_rows: int = Field(
        default=100_000,
        strict=True,
        ge=1,
        le=100_000_000,
        description="Changes after which a batch is published.",
    )
    batch_max_bytes: int = Field(
        default=8 * 1024 * 1024,
        strict=True,
        ge=1024,
        le=MESSAGE_MAX_BYTES,
        description="Size at which a batch is published.",
    )
    batch_max_age_seconds: float = Field(
        default=1.0, strict=True, gt=0, le=3600, description="Age at which a batch is published."
    )
    merge_transactions: Flag = Field(
        default=True,
        description="Whether transactions of the source that arrive together are applied in one of the "
        "target; otherwise each is applied in one of its own, which is slower.",
    )
    apply_lanes: int = Field(
        default=1,
        strict=True,
        ge=1,
        le=16,
        description="How many processes apply at the same time, each the tables of its own; tables that "
        "foreign keys join are never apart. With more than 1, a transaction of the source over tables of "
        "several lanes becomes visible on the target lane by lane.",
    )
    message_format: MessageFormat = Field(
        default=MessageFormat.BINARY,
        description="The form of messages: PostgreSQL's own, or JSON for others who read the exchange too, "
        "which costs more time and bytes.",
    )
    prefetch_count: int = Field(
        default=2, strict=True, ge=1, le=65535, description="Unacknowledged messages the broker may hand out."
    )
    idle_seconds: int = Field(
        default=30,
        strict=True,
        ge=0,
        le=SECONDS_MAX,
        description="How long to stream on silence before deferring.",
    )
    trigger_minimum_seconds: int = Field(
        default=5,
        strict=True,
        ge=3,
        le=SECONDS_MAX,
        description="Shortest time for which an idle lease stays deferred.",
    )
    schema_evolution: SchemaEvolution = Field(
        default=SchemaEvolution.STOP,
        description="Whether the target follows a source table that changes, keeps its columns, or waits.",
    )
    on_dead_letter: DeadLetterPolicy = Field(
        default=DeadLetterPolicy.STOP, description="Whether a batch that failed too often stops the task."
    )
    truncate: TruncatePolicy = Field(
        default=TruncatePolicy.REPLICATE, description="What a TRUNCATE on the source does."
    )
    origin: OriginPolicy = Field(
        default=OriginPolicy.ANY,
        description="Whether changes are captured that the source received by replication; `none` also marks "
        "what is applied, so that tasks in both directions do not echo.",
    )
    push_down_filters: Flag = Field(
        default=False,
        description="Whether filters become row filters of the publication too, where that is equivalent: "
        "rows that do not pass then never leave the source.",
    )
    failover_slot: Flag = Field(
        default=False,
        description="Whether the slot is synchronized to the source's standbys (PostgreSQL 17 and newer).",
    )
    max_consecutive_failures: int = Field(
        default=3,
        strict=True,
        ge=1,
        le=1000,
        description="Failed leases in a row after which the DAG pauses itself.",
    )
    slot_creation_timeout_seconds: int = Field(
        default=60,
        strict=True,
        ge=1,
        le=SECONDS_MAX,
        description="How long to wait for the slot's consistent point.",
    )

    @model_validator(mode="after")
    def _refuse_lanes_that_cannot_hold(self) -> CdcOptions:
        if self.apply_lanes == 1:
            return self
        if not self.merge_transactions:
            raise refused(
                "contradicts merge_transactions false: each lane applies its part of a transaction by itself",
                field="apply_lanes",
                allowed="1, or merge_transactions true",
            )
        if self.origin is OriginPolicy.NONE:
            raise refused(
                "contradicts origin none: what is applied is marked by one session of the target",
                field="apply_lanes",
                allowed="1, or origin any",
            )
        return self


class ErrorHandling(SettingsModel):
    """Whether an error in a row stops the task; otherwise it is recorded and the task goes on."""

    stop_if_insert_error: Flag = Field(default=False, description="Stop when an INSERT fails.")
    stop_if_update_error: Flag = Field(default=False, description="Stop when an UPDATE fails.")
    stop_if_delete_error: Flag = Field(default=False, description="Stop when a DELETE fails.")
    stop_if_upsert_error: Flag = Field(default=False, description="Stop when an upsert fails.")
    stop_if_scd2_error: Flag = Field(default=False, description="Stop when an SCD2 change fails.")
    stop_after_errors: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=1_000_000_000,
        description="Stop once so many rows of the task have failed and been recorded within the period, "
        "after the batch in which the last one did; after a stop, counting begins anew. Null means never.",
    )
    stop_after_errors_period_seconds: int = Field(
        default=86400,
        strict=True,
        ge=1,
        le=SECONDS_MAX,
        description="The period of `stop_after_errors`: errors that are older do not count.",
    )
    history_retention_days: int | None = Field(
        default=90,
        strict=True,
        ge=1,
        le=36600,
        description="How long row errors, dead letters that are settled and skipped transactions stay in the "
        "metadata; null means for good.",
    )


class TaskOptions(SettingsModel):
    """The options of the task itself."""

    task_name: str = Field(
        strict=True,
        min_length=1,
        max_length=TASK_NAME_MAX_LENGTH,
        pattern=r"^[a-z0-9_]+$",
        description="Name of the task, part of the names of its slot, publication, queues and DAGs.",
        json_schema_extra={
            "$comment": f"1 to {TASK_NAME_MAX_LENGTH} lower-case letters, digits and underscores"
        },
    )
    replication_type: ReplicationType = Field(
        default=ReplicationType.FULL_LOAD,
        description="Whether existing rows are loaded, changes are followed, or both.",
    )
    interval_seconds: float = Field(
        default=10.0,
        strict=True,
        gt=0,
        le=SECONDS_MAX,
        allow_inf_nan=False,
        description="How often new changes are looked for when the source is quiet.",
    )
    start_mode: StartMode = Field(
        default=StartMode.RELOAD,
        description="Whether the first start and an explicit reload begin from zero or from the checkpoint.",
    )
    create_table_if_not_exists: Flag = Field(
        default=False, description="Whether missing schemas and tables are created on the target."
    )
    full_load_settings: FullLoadOptions = Field(
        default=FullLoadOptions(), description="How existing rows are loaded."
    )
    cdc_settings: CdcOptions = Field(
        default=CdcOptions(), description="How changes are captured and applied."
    )
    validation_settings: ValidationOptions = Field(
        default=ValidationOptions(), description="How the rows of both sides are compared."
    )
    monitor_settings: MonitorOptions = Field(
        default=MonitorOptions(), description="From which values on the task needs attention."
    )
    statistics_settings: StatisticsOptions = Field(
        default=StatisticsOptions(),
        description="What is noted of the task over time, and how long it is kept.",
    )
    description: Text = Field(default="", description="Text shown on the task's DAGs.")
    owner: Text = Field(default="trempy", description="Owner shown on the task's DAGs.")
    source_conn_id: ConnectionId = Field(
        default="trempy_source", description="Airflow connection of the source."
    )
    target_conn_id: ConnectionId = Field(
        default="trempy_target", description="Airflow connection of the target."
    )
    broker_conn_id: ConnectionId = Field(
        default="trempy_broker", description="Airflow connection of the broker."
    )
    metadata_conn_id: ConnectionId | None = Field(
        default=None,
        description="Airflow connection of the metadata database, which has what need not commit with rows: "
        "source, slot and publication of the task, why it has stopped, the progress of capture. "
        "Null means the target, which keeps all the rest in any case.",
    )
