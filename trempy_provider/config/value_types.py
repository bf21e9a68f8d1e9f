"""The types of column values, as far as filters and transformations tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What can be done with a value; its text is how a message calls it."""

    TEXT = "text"
    INTEGER = "whole numbers"
    NUMERIC = "numeric"
    FLOAT = "floating point"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamp with time zone"
    OTHER = "other"


# OIDs of built-in types never change (pg_type.dat).
_KINDS = {
    16: Kind.BOOLEAN,
    19: Kind.TEXT,  # name
    20: Kind.INTEGER,
    21: Kind.INTEGER,
    23: Kind.INTEGER,
    25: Kind.TEXT,
    700: Kind.FLOAT,
    701: Kind.FLOAT,
    1042: Kind.TEXT,  # character(n)
    1043: Kind.TEXT,  # character varying(n)
    1082: Kind.DATE,
    1114: Kind.TIMESTAMP,
    1184: Kind.TIMESTAMPTZ,
    1700: Kind.NUMERIC,
}


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type: `name` with its modifier, `base_name` and `base_oid` without, of what a domain rests on."""

    name: str
    base_name: str
    base_oid: int

    @property
    def kind(self) -> Kind:
        """What can be done with values of the type."""
        return _KINDS.get(self.base_oid, Kind.OTHER)


def _built_in(name: str, oid: int) -> ValueType:
    return ValueType(name, name, oid)


BOOLEAN = _built_in("boolean", 16)
BIGINT = _built_in("bigint", 20)
SMALLINT = _built_in("smallint", 21)
INTEGER = _built_in("integer", 23)
TEXT = _built_in("text", 25)
REAL = _built_in("real", 700)
DOUBLE_PRECISION = _built_in("double precision", 701)
CHARACTER_VARYING = _built_in("character varying", 1043)
DATE = _built_in("date", 1082)
TIMESTAMP = _built_in("timestamp without time zone", 1114)
TIMESTAMPTZ = _built_in("timestamp with time zone", 1184)
NUMERIC = _built_in("numeric", 1700)
