"""The options of the monitor: from which values on a task needs attention."""

from __future__ import annotations

from pydantic import Field, model_validator

from trempy_provider.config.fields import SECONDS_MAX, SettingsModel, refused
from trempy_provider.config.schedule import Schedule

_BYTES_MAX = 2**63 - 1


class MonitorOptions(SettingsModel):
    """When the monitor runs, and what makes it fail."""

    schedule: Schedule | None = Field(
        default="*/5 * * * *",
        description="When the monitor looks, and announces changed tables as assets; null means only when it "
        "is started.",
    )
    max_lag_seconds: float | None = Field(
        default=900.0,
        strict=True,
        ge=0,
        le=SECONDS_MAX,
        allow_inf_nan=False,
        description="Lag, by commit time, above which the monitor fails; null means any.",
    )
    max_retained_wal_bytes: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=_BYTES_MAX,
        description="WAL retained on the source by the slot, above which the monitor fails; null means any.",
    )
    max_errors: int | None = Field(
        default=0,
        strict=True,
        ge=0,
        le=1_000_000_000,
        description="Rows that failed and were recorded within the period, above which the monitor fails; "
        "null means any.",
    )
    errors_period_seconds: int = Field(
        default=3600,
        strict=True,
        ge=1,
        le=SECONDS_MAX,
        description="The period of `max_errors`: errors that are older do not count.",
    )
    max_dead_letters: int | None = Field(
        default=0,
        strict=True,
        ge=0,
        le=1_000_000_000,
        description="Dead letters above which the monitor fails; null means any.",
    )
    drop_slot_at_retained_wal_bytes: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=_BYTES_MAX,
        description="WAL retained on the source at which the monitor drops the slot before it fills "
        "the source's disk: the task stops, and has to be reloaded. Null means never.",
    )

    @model_validator(mode="after")
    def _refuse_a_drop_before_an_alert(self) -> MonitorOptions:
        drop, alert = self.drop_slot_at_retained_wal_bytes, self.max_retained_wal_bytes
        if drop is not None and alert is not None and drop <= alert:
            raise refused(
                f"is {drop}: the slot would be dropped before anybody is warned",
                field="drop_slot_at_retained_wal_bytes",
                allowed=f"more than max_retained_wal_bytes, which is {alert}",
            )
        return self
