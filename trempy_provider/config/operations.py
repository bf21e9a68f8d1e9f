"""Every operation on a column's value and every way to make a new column: one class each.

A class is the `contract` of a transformation and is told apart by `operation`; the unions are at the bottom.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from trempy_provider.config.choices import LiteralType
from trempy_provider.config.date_format import (
    TO_CHAR_PATTERNS,
    DateFormatError,
    DateFormatPart,
    parse_date_format,
)
from trempy_provider.config.fields import ConnectionId, Flag, Name, Scalar, SettingsModel, Text, refused
from trempy_provider.config.literals import check_literal
from trempy_provider.config.math_expression import (
    EXPRESSION_WORDS,
    MAX_LENGTH,
    MathExpressionError,
    Node,
    parse_math_expression,
)

OPERATION_DESCRIPTION = "How the value is made."
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


Expression = Annotated[
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


class Uppercase(_ValueOperation):
    """Change letters to upper case."""

    kind: Literal["uppercase"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class Lowercase(_ValueOperation):
    """Change letters to lower case."""

    kind: Literal["lowercase"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class Trim(_ValueOperation):
    """Remove white space at both ends."""

    kind: Literal["trim"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class ExtractYear(_ValueOperation):
    """Replace a date by its year."""

    kind: Literal["extract_year"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class ExtractMonth(_ValueOperation):
    """Replace a date by its month, 1 to 12."""

    kind: Literal["extract_month"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class ExtractDay(_ValueOperation):
    """Replace a date by its day of the month, 1 to 31."""

    kind: Literal["extract_day"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class FormatDate(_ValueOperation):
    """Write a date as text."""

    kind: Literal["format_date"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    format: DateFormat = Field(description="Form of the text, in strftime codes; names are English.")

    @property
    def parts(self) -> tuple[DateFormatPart, ...]:
        """Return the parts of the format in order."""
        return parse_date_format(self.format)


class MathExpression(_ValueOperation):
    """Compute a number from the column's."""

    kind: Literal["math_expression"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    expression: Expression = Field(
        description="Arithmetic in which `value` is the column's value; precedence is PostgreSQL's."
    )

    @property
    def tree(self) -> Node:
        """Return the syntax tree of the expression."""
        return parse_math_expression(self.expression)


class Hash(_ValueOperation):
    """Mask a value by its salted SHA-256; equal values stay equal."""

    kind: Literal["hash"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    salt_conn_id: ConnectionId = Field(
        default="trempy_salt", description="Airflow connection whose password is the salt."
    )


class Redact(_ValueOperation):
    """Mask a value by a fixed text."""

    kind: Literal["redact"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    replacement: Text = Field(default="***", description="Text that replaces every value but null.")


class _ColumnOperation(SettingsModel):
    new_column_name: Name = Field(description="Name of the column that is added on the target.")


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


class DateNow(_ColumnOperation):
    """Add a column with the date on which the row was applied."""

    kind: Literal["date_now"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class DatetimeNow(_ColumnOperation):
    """Add a column with the time at which the row was applied."""

    kind: Literal["datetime_now"] = Field(alias="operation", description=OPERATION_DESCRIPTION)


class Concat(_ColumnOperation):
    """Add a column with the texts of other columns, one after the other."""

    kind: Literal["concat"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    depends_on: tuple[Name, ...] = Field(min_length=1, description="Columns to join, in this order.")
    separator: Text = Field(default="", description="Text between two columns.")


class DateDiffYears(_ColumnOperation):
    """Add a column with the years between two dates."""

    kind: Literal["date_diff_years"] = Field(alias="operation", description=OPERATION_DESCRIPTION)
    depends_on: tuple[Name, ...] = Field(
        min_length=2, max_length=2, description="The column of the start, then the column of the end."
    )
    round_result: Flag = Field(default=False, description="Whether the years are rounded to a whole number.")


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
