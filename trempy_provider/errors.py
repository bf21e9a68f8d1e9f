"""Every error this package raises, in one page.

An error says where the operator has to look (its family), whether it mends by itself (its policy) and
what to do (its hint).
`docs/runbooks.md` has a section for each, under its name.
A message names the object, what was seen and what is allowed.
It never carries row values, keys, payloads or connection strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RetryPolicy(Enum):
    """Tell who ends the failure: time, or a person."""

    BY_ITSELF = "retry by itself"
    AFTER_FIX = "retry after a fix"


class TrempyError(Exception):
    """The root of all errors of this package."""

    policy = RetryPolicy.AFTER_FIX
    hint = "Read the message; the cause is named there."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self).copy())

    @property
    def explanation(self) -> str:
        """Say what is wrong, what to do, and the name that the runbooks have it under."""
        separator = "\n" if "\n" in str(self) else " — "
        return f"{self}{separator}{self.hint} [{type(self).__name__}]"


def _restored(kind: type[TrempyError], args: tuple[object, ...], state: dict[str, object]) -> TrempyError:
    """Return an error of another process, of whatever it was made there."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class ConfigurationError(TrempyError):
    """The settings or a connection are wrong."""

    hint = "Correct the settings; `trempy check` validates them without changing anything."


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of the settings, in the words of the user."""

    path: str
    message: str
    seen: str | None = None
    allowed: str | None = None

    def __str__(self) -> str:
        seen = "" if self.seen is None else f"; seen {self.seen}"
        allowed = "" if self.allowed is None else f"; allowed: {self.allowed}"
        return f"{self.path}: {self.message}{seen}{allowed}"


class SettingsError(ConfigurationError):
    """The settings do not validate; the message lists every problem with its field."""

    def __init__(
        self, message: str, *, problems: tuple[FieldProblem, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class PreflightError(ConfigurationError):
    """The pre-flight checks found an error; the message lists all of them with their remedies."""

    hint = "Mend what is listed, then run `trempy check`."


class SourceError(TrempyError):
    """The source server refused or failed."""

    hint = "Look at the source server's log."


class SourceUnavailableError(SourceError):
    """The source cannot be reached, or the connection was lost."""

    policy = RetryPolicy.BY_ITSELF
    hint = (
        "The connection is tried again with backoff; if it persists, check what the message names: "
        "host, port and network, or role, password, database and pg_hba.conf."
    )


class SourcePermissionError(SourceError):
    """The source role lacks a right."""

    hint = "Grant what is named; the README lists the exact grants of the source role."


class SlotError(SourceError):
    """A replication slot cannot be used."""


class SlotInUseError(SlotError):
    """Another process is reading the slot."""

    policy = RetryPolicy.BY_ITSELF
    hint = "Another capture of this task is running, or an old one has not noticed its end yet."


class SlotCreationBlockedError(SlotError):
    """The slot could not be created in time because old transactions are open in the cluster."""

    hint = (
        "End the transactions named (`select pg_terminate_backend(pid)`), "
        "or raise slot_creation_timeout_seconds."
    )


class UndecodableError(SlotError):
    """The source cannot decode the WAL for this slot, now or later: a defect of PostgreSQL."""

    hint = "Run `trempy reload --keep-equal`: it begins anew with another slot and loads what differs."


class NoFreeSlotError(SlotError):
    """All replication slots or walsenders of the source are in use."""

    hint = "Raise max_replication_slots and max_wal_senders on the source, or drop unused slots."


class SlotLostError(SlotError):
    """The slot is gone, invalidated or not the one this task was set up with: changes are missing."""

    hint = (
        "The gap cannot be closed from the slot. Run `trempy reload` to start from zero; "
        "`trempy reload --keep-equal` loads only the tables that differ."
    )


class WrongSystemError(SourceError):
    """The source is not the server (or timeline) this task was set up with."""

    hint = (
        "Point the task at its own source, or run `trempy reload` to start from the new one "
        "(`--keep-equal` loads only the tables that differ)."
    )


class CopyError(SourceError):
    """Copying a table failed."""


class SourceTableError(SourceError):
    """A source table sends no changes any more."""

    hint = "Run `trempy refresh`, then load the table."


class FullLoadError(TrempyError):
    """Tables could not be loaded; the message names each with its cause."""

    hint = "Mend what is named, then start the full load again: tables that are ready are not touched."


class ProtocolError(TrempyError):
    """Bytes do not follow the protocol they claim."""

    hint = "This is a defect or a damaged message; keep the message and report it."


class WireFormatError(ProtocolError):
    """A batch from the broker cannot be decoded."""

    hint = "The message was not written by a compatible version; look at it in the dead-letter queue."


class WireVersionError(WireFormatError):
    """A batch from the broker has the format of another version."""

    hint = "Install the version that wrote it, or a newer one; or empty the queue with that version first."


class GapError(ProtocolError):
    """Batches are missing between the checkpoint and the batch received."""

    hint = (
        "A batch was lost between capture and apply (queue purged, or a dead letter that cannot be read: "
        "`trempy dead-letters list` shows those). Run `trempy reload`."
    )


class BrokerError(TrempyError):
    """The broker refused or failed."""

    hint = "Look at the broker's log."


class BrokerUnavailableError(BrokerError):
    """The broker cannot be reached, or the connection was lost."""

    policy = RetryPolicy.BY_ITSELF
    hint = (
        "The connection is tried again with backoff; check the host, the port and the network if it persists."
    )


class BrokerPermissionError(BrokerError):
    """The broker refused the login, the virtual host or an operation."""

    hint = (
        "Check login, password and virtual host, and the user's configure, write and read permissions on it."
    )


class TopologyError(BrokerError):
    """A queue or exchange is missing or declared otherwise."""

    hint = "Run `trempy setup`; if the object belongs to something else, delete or rename it."


class PublishError(BrokerError):
    """The broker did not take a message (nack, or returned as unroutable)."""

    policy = RetryPolicy.BY_ITSELF
    hint = "The batch is sent again from the slot; nothing is lost. Check the broker's alarms and the queue."


class DeadLetterError(BrokerError):
    """A dead letter cannot be replayed or discarded now."""

    hint = "`trempy dead-letters list` shows what there is; a table is mended by `trempy reload --table`."


class TargetError(TrempyError):
    """The target server refused or failed."""

    hint = "Look at the target server's log."


class TargetUnavailableError(TargetError):
    """The target cannot be reached, or the connection was lost."""

    policy = RetryPolicy.BY_ITSELF
    hint = (
        "The connection is tried again with backoff; if it persists, check what the message names: "
        "host, port and network, or role, password, database and pg_hba.conf."
    )


class TargetPermissionError(TargetError):
    """The target role lacks a right."""

    hint = "Grant what is named; the README lists the exact grants of the target role."


class TargetSchemaError(TargetError):
    """A target table cannot take the rows of its source."""

    hint = (
        "Change the target table, or let the task create it "
        "(create_table_if_not_exists, recreate_table_if_exists)."
    )


class SchemaChangeError(TargetSchemaError):
    """The source's table has changed, and its target has not: the message names the column."""

    hint = "Change the target table in the same way; the changes go on from where they stopped."


class MetadataError(TargetError):
    """The task's metadata is missing or of another version."""

    hint = "Run `trempy setup`."


class ApplyError(TargetError):
    """A row could not be applied and the task's policy says stop."""

    hint = "Mend the row or the table; the batch is applied again from where it stopped."


class ValidationError(TargetError):
    """Tables are not equal on both sides."""

    hint = (
        "Look at trempy.table_validations and trempy.validation_differences; `trempy validate --repair` "
        "writes the rows that differ, `trempy reload --table` loads a table again."
    )


class CutoverError(TrempyError):
    """The target may not take over from the source yet; the message lists every reason."""

    hint = "Mend what is listed, keep writers away from the source, then ask again."


class MonitorError(TrempyError):
    """A task needs attention; the message lists every threshold that is passed."""

    hint = "Mend what is listed; `trempy status` shows more. monitor_settings holds the thresholds."


class LaneError(TrempyError):
    """A process of apply has ended without a word, or its tables belong to another one now."""

    policy = RetryPolicy.BY_ITSELF
    hint = (
        "The lanes of apply are started anew, each from its own checkpoint; if they are killed again and "
        "again, look at the machine's memory and lower apply_lanes."
    )


class ErrorLimitError(TargetError):
    """As many rows have failed as the settings allow."""

    hint = (
        "Look at trempy.apply_errors and mend the cause; `trempy reload` brings back what is missing. "
        "Then start again: counting begins anew."
    )


class JobInProgressError(TargetError):
    """Another process is doing the same job for this task."""

    policy = RetryPolicy.BY_ITSELF
    hint = "Wait until it ends, or stop it."


class ModelError(TrempyError):
    """The language model cannot be asked, or gives no answer."""

    hint = "Check the connection of the model; `--no-model` drafts without one."


class StoppedError(TrempyError):
    """The job was asked to stop and left everything as it was."""

    policy = RetryPolicy.BY_ITSELF
    hint = "Start it again; it goes on where it stopped."
