"""The arithmetic of `math_expression`: text in, a small syntax tree out.

The grammar means what PostgreSQL's means (manual 4.1.6, operator precedence), so that an expression is the
same to this parser and to the server: a sign binds closest, then `^`, then `*` and `/`, then `+` and `-`;
all of them, `^` too, associate to the left.
So `-value ^ 2` is `(-value) ^ 2`, and `2 ^ 3 ^ 2` is 64.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 500  # bounds the depth of a tree that leans to one side
MAX_DEPTH = 50
EXPRESSION_WORDS = "numbers, value, + - * / ^ and parentheses"

_MAX_EXPONENT = 300
_SPACES = " \t\n\r\f\v"
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?)|(?P<name>[^\W\d]\w*)|(?P<symbol>[-+*/^()]))",
    re.ASCII,
)


class MathExpressionError(ValueError):
    """The text is not an expression of the grammar; the message names the place."""


class Operator(Enum):
    """A sign between two operands."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "^"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written, so that not a digit is lost."""

    text: str


@dataclass(frozen=True, slots=True)
class ColumnValue:
    """The value of the column, written `value`."""


@dataclass(frozen=True, slots=True)
class Negation:
    """An operand with a minus sign before it."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands and the operator between them."""

    operator: Operator
    left: Node
    right: Node


Node = Number | ColumnValue | Negation | Operation

_BY_PRECEDENCE: tuple[frozenset[str], ...] = (frozenset("+-"), frozenset("*/"), frozenset("^"))


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    position: int  # 1-based, as people count

    @property
    def is_number(self) -> bool:
        return self.text[:1].isdigit() or self.text.startswith(".")


def parse_math_expression(text: str) -> Node:
    """Return the syntax tree of the expression; raise MathExpressionError for any other text."""
    if len(text) > MAX_LENGTH:
        raise MathExpressionError(f"is {len(text)} characters long; {MAX_LENGTH} are allowed")
    tokens = [*_tokens(text), _Token("", len(text) + 1)]
    if not any(token.text == "value" for token in tokens):
        raise MathExpressionError("does not use `value`, the column's value")
    return _Parser(tokens).parse()


def _tokens(text: str) -> Iterator[_Token]:
    position, end = 0, len(text.rstrip(_SPACES))
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unknown_character(text, position)
        yield _checked(_Token(match[match.lastgroup or 0], match.start(match.lastgroup or 0) + 1))
        position = match.end()


def _unknown_character(text: str, position: int) -> MathExpressionError:
    wrong = next(place for place in range(position, len(text)) if text[place] not in _SPACES)
    return MathExpressionError(
        f"has a character that is not allowed at position {wrong + 1}: {text[wrong]!r}"
    )


def _checked(token: _Token) -> _Token:
    if token.text[0].isalpha() or token.text[0] == "_":
        if token.text != "value":
            raise MathExpressionError(
                f"uses `{token.text}` at position {token.position}; only `value` has a meaning"
            )
    elif token.is_number:
        exponent = re.split("[eE]", token.text)[1:]
        if exponent and abs(int(exponent[0])) > _MAX_EXPONENT:
            raise MathExpressionError(f"has a number out of range at position {token.position}")
    return token


class _Parser:
    """Read tokens from left to right; the last one is empty and marks the end."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def parse(self) -> Node:
        """Return the tree of all tokens."""
        node = self._parse_operation(level=0, depth=0)
        if self._token.text:
            raise MathExpressionError(f"has `{self._token.text}` at position {self._token.position} too many")
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _parse_operation(self, *, level: int, depth: int) -> Node:
        if level == len(_BY_PRECEDENCE):
            return self._parse_operand(depth=depth)
        node = self._parse_operation(level=level + 1, depth=depth)
        while self._token.text and self._token.text in _BY_PRECEDENCE[level]:
            sign = self._take()
            right = self._parse_operation(level=level + 1, depth=depth)
            node = _operation(Operator(sign.text), node, right, position=sign.position)
        return node

    def _parse_operand(self, *, depth: int) -> Node:
        token = self._token
        if depth > MAX_DEPTH:
            raise MathExpressionError(f"is nested more than {MAX_DEPTH} deep at position {token.position}")
        if not token.text:
            raise MathExpressionError("ends where a number, `value` or a parenthesis is needed")
        self._take()
        if token.is_number:
            return Number(token.text)
        match token.text:
            case "value":
                return ColumnValue()
            case "-":
                return Negation(self._parse_operand(depth=depth + 1))
            case "+":
                return self._parse_operand(depth=depth + 1)
            case "(":
                return self._parse_parenthesis(depth=depth + 1)
            case _:
                place = f"at position {token.position}"
                raise MathExpressionError(f"has `{token.text}` {place} where a value is needed")

    def _parse_parenthesis(self, *, depth: int) -> Node:
        opened_at = self._tokens[self._next - 1].position
        node = self._parse_operation(level=0, depth=depth)
        if self._token.text != ")":
            raise MathExpressionError(f"has a parenthesis at position {opened_at} that is not closed")
        self._take()
        return node


def _operation(operator: Operator, left: Node, right: Node, *, position: int) -> Operation:
    if operator is Operator.DIVIDE and isinstance(right, Number) and float(right.text) == 0:
        raise MathExpressionError(f"divides by zero at position {position}")
    return Operation(operator, left, right)
