"""The words a setting may be, where only a few are allowed."""

from __future__ import annotations

from enum import Enum


class Choice(str, Enum):
    """A word of the settings; formats as the user wrote it."""

    __str__ = str.__str__


class ReplicationType(Choice):
    """What a task does."""

    FULL_LOAD = "full_load"
    CDC = "cdc"
    FULL_LOAD_AND_CDC = "full_load_and_cdc"


class StartMode(Choice):
    """Where a task starts."""

    RELOAD = "reload"
    CONTINUE = "continue"


class ApplyModeName(Choice):
    """The name of an apply mode."""

    DEFAULT = "default"
    UPSERT = "upsert"
    SCD2 = "scd2"


class MessageFormat(Choice):
    """The form in which batches travel through the broker."""

    BINARY = "binary"
    JSON = "json"


class SchemaEvolution(Choice):
    """The answer to a changed column on the source."""

    APPLY = "apply"
    IGNORE = "ignore"
    STOP = "stop"


class DeadLetterPolicy(Choice):
    """The answer to a dead letter."""

    STOP = "stop"
    CONTINUE = "continue"


class TruncatePolicy(Choice):
    """The answer to a TRUNCATE on the source."""

    REPLICATE = "replicate"
    IGNORE = "ignore"


class OriginPolicy(Choice):
    """The answer to changes that the source has itself received by replication."""

    ANY = "any"
    NONE = "none"


class OperationName(Choice):
    """An operation of the source that a table may take part in."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"


class LiteralType(Choice):
    """The PostgreSQL type of a literal column."""

    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    REAL = "real"
    DOUBLE_PRECISION = "double precision"
    NUMERIC = "numeric"
    CHARACTER_VARYING = "character varying"
    VARCHAR = "varchar"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
