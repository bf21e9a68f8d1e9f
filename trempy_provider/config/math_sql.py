"""A parsed `math_expression` as SQL."""

from __future__ import annotations

from trempy_provider.config.compilation import TypedValue, UnsuitableTypeError
from trempy_provider.config.expressions import Expression, Literal, SqlText, compose
from trempy_provider.config.math_expression import ColumnValue, Negation, Node, Number, Operation
from trempy_provider.config.value_types import DOUBLE_PRECISION, NUMERIC, Kind, ValueType

NUMBER_WORDS = "a type of numbers"
_COMPUTED_AS = {Kind.INTEGER: NUMERIC, Kind.NUMERIC: NUMERIC, Kind.FLOAT: DOUBLE_PRECISION}


def arithmetic(tree: Node, value: TypedValue) -> TypedValue:
    """Return the tree in SQL, each operation in parentheses, so that only the tree decides the order.

    Whole numbers and numeric are computed as numeric, floating point as double precision: so are the results.
    """
    computed_as = _COMPUTED_AS.get(value.type.kind)
    if computed_as is None:
        raise UnsuitableTypeError(value.type, wanted=NUMBER_WORDS)
    return TypedValue(_printed(tree, value.sql, computed_as), computed_as)


def _printed(node: Node, value: Expression, computed_as: ValueType) -> Expression:
    match node:
        case Number(text):
            return compose("{number}::{type}", number=Literal(text), type=SqlText(computed_as.name))
        case ColumnValue():
            return compose("{value}::{type}", value=value, type=SqlText(computed_as.name))
        case Negation(operand):
            return compose("(- {operand})", operand=_printed(operand, value, computed_as))
        case Operation(operator, left, right):
            return compose(
                "({left} {operator} {right})",
                left=_printed(left, value, computed_as),
                operator=SqlText(operator.value),
                right=_printed(right, value, computed_as),
            )
