"""Every operation on a column's value and every way to make a new column: one class each.

A class is the `contract` of a transformation and is told apart by `operation`; the unions are at the bottom.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from trempy_provider.config.choices import LiteralType
from trempy_provider.config.comparisons import TEXT_WORDS, day_of, literal_text, time_of
from trempy_provider.config.compilation import (
    CompileContext,
    TypedValue,
    UnsuitableTypeError,
    salt_setting,
    typed_literal,
)
from trempy_provider.config.date_format import (
    TO_CHAR_PATTERNS,
    DateFormatError,
    DateFormatPart,
    parse_date_format,
    to_char_format,
)
from trempy_provider.config.expressions import Expression, Identifier, SqlText, compose, join
from trempy_provider.config.expressions import Literal as SqlLiteral
from trempy_provider.config.fields import ConnectionId, Flag, Name, Scalar, SettingsModel, Text, refused
from trempy_provider.config.literals import LITERAL_TYPES, check_literal
from trempy_provider.config.math_expression import (
    EXPRESSION_WORDS,
    MAX_LENGTH,
    MathExpressionError,
    Node,
    parse_math_expression,
)
from trempy_provider.config.math_sql import arithmetic
from trempy_provider.config.value_types import DATE, INTEGER, NUMERIC, TEXT, TIMESTAMPTZ, Kind

OPERATION_DESCRIPTION = "How the value is made."
_SPACES = " \t\n\r\f\v"
DATE_FORMAT_WORDS = f"text with the codes {' '.join(TO_CHAR_PATTERNS)} %%"


def _check_expression(text: str) -> str:
    try:
        parse_math_expression(text)
    except MathExpressionError as error:
        raise refused(str(error), allowed=EXPRESSION_WORDS) from error
    return text


def _check_date_format(text: str) -> str:
    try:
        parse_date_format(text)
    except DateFormatError as error:
        raise refused(str(error), allowed=DATE_FORMAT_WORDS) from error
    return text


MathText = Annotated[
    Text,
    AfterValidator(_check_expression),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": r"^([0-9.eE+\-*/^()\s]|value)*value([0-9.eE+\-*/^()\s]|value)*$",
            "$comment": EXPRESSION_WORDS,
        }
    ),
]
DateFormat = Annotated[
    Text,
    AfterValidator(_check_date_format),
    WithJsonSchema({"type": "string", "pattern": "%[^%]", "$comment": DATE_FORMAT_WORDS}),
]


class _ValueOperation(SettingsModel):
    column_name: Name = Field(description="Column whose value is changed.")

    def to_sql(self, value: TypedValue, context: CompileContext) -> TypedValue:
        """Return the changed value, whose SQL can stand beside any operator.

        Raise UnsuitableTypeError when the operation makes no sense for the type.
        """
        return self._changed(value, context)

    @abstractmethod
    def _changed(self, value: TypedValue, context: CompileContext) -> TypedValue: ...


class Uppercase(_ValueOperation):
    """Change letters to upper case."""

    kind: Literal["uppercase"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, context: CompileContext) -> TypedValue:
        return _changed_text("upper({text} collate {collation})", value, collation=context.collation_name)


class Lowercase(_ValueOperation):
    """Change letters to lower case."""

    kind: Literal["lowercase"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, context: CompileContext) -> TypedValue:
        return _changed_text("lower({text} collate {collation})", value, collation=context.collation_name)


class Trim(_ValueOperation):
    """Remove spaces, tabs and line breaks at both ends."""

    kind: Literal["trim"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return _changed_text("btrim({text}, {spaces})", value, spaces=SqlLiteral(_SPACES))


class ExtractYear(_ValueOperation):
    """Replace a date by its year."""

    kind: Literal["extract_year"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return TypedValue(compose("extract(year from {day})::integer", day=day_of(value)), INTEGER)


class ExtractMonth(_ValueOperation):
    """Replace a date by its month, 1 to 12."""

    kind: Literal["extract_month"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return TypedValue(compose("extract(month from {day})::integer", day=day_of(value)), INTEGER)


class ExtractDay(_ValueOperation):
    """Replace a date by its day of the month, 1 to 31."""

    kind: Literal["extract_day"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return TypedValue(compose("extract(day from {day})::integer", day=day_of(value)), INTEGER)


class FormatDate(_ValueOperation):
    """Write a date as text."""

    kind: Literal["format_date"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    format: DateFormat = Field(description="Form of the text, in strftime codes; names are English.")

    @property
    def parts(self) -> tuple[DateFormatPart, ...]:
        """Return the parts of the format in order."""
        return parse_date_format(self.format)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        pattern = SqlLiteral(to_char_format(self.parts))
        return TypedValue(compose("to_char({time}, {format})", time=time_of(value), format=pattern), TEXT)


class MathExpression(_ValueOperation):
    """Compute a number from the column's."""

    kind: Literal["math_expression"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    expression: MathText = Field(
        description="Arithmetic in which `value` is the column's value; precedence is PostgreSQL's."
    )

    @property
    def tree(self) -> Node:
        """Return the syntax tree of the expression."""
        return parse_math_expression(self.expression)

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return arithmetic(self.tree, value)


class MaskOperation(_ValueOperation):
    """An operation that hides a value, before it leaves the source or is written anywhere.

    It comes before all others, whatever its place in their order.
    """

    def mask(self, salts: Mapping[str, str]) -> Callable[[bytes], bytes]:
        """Return what masks a value's text as the SQL does; `salts` are by connection."""
        return self._mask(salts)

    @abstractmethod
    def _mask(self, salts: Mapping[str, str]) -> Callable[[bytes], bytes]: ...


class Hash(MaskOperation):
    """Mask a value by its salted SHA-256, before all other transformations; equal values stay equal."""

    kind: Literal["hash"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    salt_conn_id: ConnectionId = Field(
        default="trempy_salt", description="Airflow connection whose password is the salt."
    )

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        text = compose(
            "current_setting({name}) || format('%s', {value})", name=self._setting, value=value.sql
        )
        return _masked(compose("encode(sha256(convert_to({text}, 'UTF8')), 'hex')", text=text), value)

    def _mask(self, salts: Mapping[str, str]) -> Callable[[bytes], bytes]:
        salted = hashlib.sha256(salts[self.salt_conn_id].encode())

        def mask(value: bytes) -> bytes:
            digest = salted.copy()
            digest.update(value)
            return digest.hexdigest().encode()

        return mask

    @property
    def _setting(self) -> SqlLiteral:
        return SqlLiteral(salt_setting(self.salt_conn_id))


class Redact(MaskOperation):
    """Mask a value by a fixed text, before all other transformations; nulls stay null."""

    kind: Literal["redact"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    replacement: Text = Field(default="***", description="Text that replaces every value but null.")

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return _masked(compose("{text}::text", text=SqlLiteral(self.replacement)), value)

    def _mask(self, _salts: Mapping[str, str]) -> Callable[[bytes], bytes]:
        text = self.replacement.encode()
        return lambda _: text


class _ColumnOperation(SettingsModel):
    is_momentary: ClassVar[bool] = False  # the value is of the moment of application

    new_column_name: Name = Field(description="Name of the column that is added on the target.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns from which the value is made."""
        return ()

    def to_sql(self, values: Sequence[TypedValue], context: CompileContext) -> TypedValue:
        """Return the new column's value, made from those of `inputs`.

        Raise UnsuitableTypeError when they have types of which it cannot be made.
        """
        return self._made(values, context)

    @abstractmethod
    def _made(self, values: Sequence[TypedValue], context: CompileContext) -> TypedValue: ...


class LiteralValue(_ColumnOperation):
    """Add a column with the same value in every row."""

    kind: Literal["literal"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    value_type: LiteralType = Field(description="PostgreSQL type of the column.")
    value: Scalar | None = Field(description="The value, as the type allows; text such as `5` is converted.")

    @model_validator(mode="after")
    def _refuse_value_of_other_type(self) -> LiteralValue:
        allowed = check_literal(self.value, value_type=self.value_type)
        if allowed is not None:
            raise refused(f"not of the type {self.value_type}", field="value", allowed=allowed)
        return self

    def _made(self, _values: Sequence[TypedValue], _context: CompileContext) -> TypedValue:
        value_type = LITERAL_TYPES[self.value_type]
        if self.value is None:
            return TypedValue(compose("null::{type}", type=SqlText(value_type.name)), value_type)
        return TypedValue(typed_literal(literal_text(self.value), value_type), value_type)


class DateNow(_ColumnOperation):
    """Add a column with the date on which the row was applied."""

    is_momentary: ClassVar[bool] = True

    kind: Literal["date_now"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _made(self, _values: Sequence[TypedValue], context: CompileContext) -> TypedValue:
        return TypedValue(day_of(TypedValue(context.moment, TIMESTAMPTZ)), DATE)


class DatetimeNow(_ColumnOperation):
    """Add a column with the time at which the row was applied."""

    is_momentary: ClassVar[bool] = True

    kind: Literal["datetime_now"] = Field(alias="operation", description=OPERATION_DESCRIPTION)

    def _made(self, _values: Sequence[TypedValue], context: CompileContext) -> TypedValue:
        return TypedValue(context.moment, TIMESTAMPTZ)


class Concat(_ColumnOperation):
    """Add a column with the texts of other columns, one after the other; nulls are left out."""

    kind: Literal["concat"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    depends_on: tuple[Name, ...] = Field(min_length=1, description="Columns to join, in this order.")
    separator: Text = Field(default="", description="Text between two columns.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns that are joined."""
        return self.depends_on

    def _made(self, values: Sequence[TypedValue], _context: CompileContext) -> TypedValue:
        texts = join(", ", (value.sql for value in values))
        separator = SqlLiteral(self.separator)
        return TypedValue(compose("concat_ws({separator}, {texts})", separator=separator, texts=texts), TEXT)


class DateDiffYears(_ColumnOperation):
    """Add a column with the years between two dates, a year being 365.25 days."""

    kind: Literal["date_diff_years"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    depends_on: tuple[Name, ...] = Field(
        min_length=2, max_length=2, description="The column of the start, then the column of the end."
    )
    round_result: Flag = Field(default=False, description="Whether the years are rounded to a whole number.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns of the start and of the end."""
        return self.depends_on

    def _made(self, values: Sequence[TypedValue], _context: CompileContext) -> TypedValue:
        start, end = map(day_of, values)
        years = compose("(({end} - {start})::numeric / 365.25)", start=start, end=end)
        if self.round_result:
            return TypedValue(compose("round({years})::integer", years=years), INTEGER)
        return TypedValue(years, NUMERIC)


def _changed_text(template: str, value: TypedValue, **holes: Identifier | SqlLiteral) -> TypedValue:
    """Fill a template with a text; the result has the type the text had."""
    if value.type.kind is not Kind.TEXT:
        raise UnsuitableTypeError(value.type, wanted=TEXT_WORDS)
    return TypedValue(compose(template, text=compose("{value}::text", value=value.sql), **holes), value.type)


def _masked(text: Expression, value: TypedValue) -> TypedValue:
    """Return a text in place of any value but null; a row of nulls is not null."""
    masked = compose("(case when num_nulls({value}) = 0 then {text} end)", value=value.sql, text=text)
    return TypedValue(masked, TEXT)


ValueOperation = Annotated[
    Uppercase
    | Lowercase
    | Trim
    | ExtractYear
    | ExtractMonth
    | ExtractDay
    | FormatDate
    | MathExpression
    | Hash
    | Redact,
    Field(discriminator="kind"),
]
ColumnOperation = Annotated[
    LiteralValue | DateNow | DatetimeNow | Concat | DateDiffYears, Field(discriminator="kind")
]
