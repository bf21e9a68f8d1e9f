"""What filters and transformations need to know, beside the row, to become SQL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from trempy_provider.config.expressions import Expression, Identifier, Literal, SqlText, compose
from trempy_provider.config.value_types import ValueType

APPLICATION_TIME: Final = compose("now()")


@dataclass(frozen=True, slots=True)
class CompileContext:
    """The surroundings in which expressions are evaluated.

    `collation`, of schema pg_catalog, is present on both sides: order and letters follow it.
    `moment` is the moment of application, a timestamp with time zone.
    `masks_values`: values arrive as the source has them; in apply, capture has masked them before.
    """

    collation: str = "C"
    moment: Expression = APPLICATION_TIME
    masks_values: bool = True

    @property
    def collation_name(self) -> Identifier:
        """Return the collation as a name in SQL."""
        return Identifier(("pg_catalog", self.collation))


@dataclass(frozen=True, slots=True)
class TypedValue:
    """An expression and the type of its value."""

    sql: Expression
    type: ValueType


class UnsuitableError(ValueError):
    """A filter or a transformation cannot be applied; the message continues the path of its field."""


class UnsuitableTypeError(UnsuitableError):
    """The column has a type of another kind."""

    def __init__(self, value_type: ValueType, *, wanted: str) -> None:
        super().__init__(f"its column is {value_type.name}, not {wanted}")


def salt_setting(conn_id: str) -> str:
    """Return the name of the session's setting that holds a connection's salt."""
    return f"trempy.salt_{hashlib.sha256(conn_id.encode()).hexdigest()[:16]}"


def typed_literal(text: str, value_type: ValueType) -> Expression:
    """Return a literal of a type, without the type's modifier: it is not cut to a column's length."""
    return compose("{text}::{type}", text=Literal(text), type=SqlText(value_type.base_name))
