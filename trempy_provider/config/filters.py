"""Every filter: one class each, told apart by `filter_type`.

All filters of a table must hold for a row to be on the target.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from trempy_provider.config.comparisons import by_day, compared, listed, ordered, ranged, searched
from trempy_provider.config.compilation import CompileContext, TypedValue
from trempy_provider.config.expressions import Expression, compose
from trempy_provider.config.fields import Day, Name, Ordered, Scalar, SettingsModel, Text, refused
from trempy_provider.config.tables import TableReference

OPERAND_KEYS = ("value", "values", "lower", "upper")
KIND_DESCRIPTION = "What the filter does."


def _allow_leftovers(schema: JsonDict) -> None:
    # TREMpy's form leaves an empty operand behind when the type of a filter is changed.
    properties = schema["properties"]
    assert isinstance(properties, dict)
    for key in OPERAND_KEYS:
        properties.setdefault(key, {"enum": [None, "", []], "description": "Not used by this filter type."})


class Filter(SettingsModel, json_schema_extra=_allow_leftovers):
    """The part all filters share."""

    description: Text = Field(default="", description="What the filter is for, in your own words.")
    column_name: Name = Field(description="Column of the source table that is compared.")

    def to_sql(self, value: TypedValue, context: CompileContext) -> Expression:
        """Return the condition on the column's value; null counts as not fulfilled.

        Raise UnsuitableTypeError when the filter makes no sense for the type.
        """
        return compose("({condition})", condition=self._condition(value, context))

    @abstractmethod
    def _condition(self, value: TypedValue, context: CompileContext) -> Expression: ...

    @model_validator(mode="before")
    @classmethod
    def _drop_leftovers(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        unused = [key for key in OPERAND_KEYS if key not in cls.model_fields]
        return {
            key: value for key, value in settings.items() if not (key in unused and value in (None, "", []))
        }


class _ScalarFilter(Filter):
    value: Scalar = Field(description="What the column is compared with.")


class _OrderedFilter(Filter):
    value: Ordered = Field(description="What the column is compared with.")


class _TextFilter(Filter):
    value: Text = Field(description="Literal text to look for; no character has a special meaning.")


class _DayFilter(Filter):
    value: Day = Field(description="ISO date that the column's date part is compared with.")


class _ListFilter(Filter):
    values: tuple[Scalar, ...] = Field(min_length=1, description="The values the column is compared with.")


class _RangeFilter(Filter):
    lower: Ordered = Field(description="Lower end of the range, included.")
    upper: Ordered = Field(description="Upper end of the range, included.")

    @model_validator(mode="after")
    def _refuse_empty_range(self) -> _RangeFilter:
        lower, upper = _comparable_ends(self.lower, self.upper)
        if lower is not None and upper is not None and lower > upper:
            raise refused(f"is greater than upper, {self.upper}", field="lower")
        return self


class _DayRangeFilter(Filter):
    lower: Day = Field(description="First day of the range, an ISO date.")
    upper: Day = Field(description="Last day of the range, an ISO date, included.")

    @model_validator(mode="after")
    def _refuse_empty_range(self) -> _DayRangeFilter:
        if self.lower > self.upper:
            raise refused(f"is later than upper, {self.upper}", field="lower")
        return self


class Equals(_ScalarFilter):
    """Keep rows whose column equals the value."""

    kind: Literal["equals"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return compared(value, "=", self.value)


class NotEquals(_ScalarFilter):
    """Keep rows whose column differs from the value."""

    kind: Literal["not_equals"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return compared(value, "<>", self.value)


class GreaterThan(_OrderedFilter):
    """Keep rows whose column is greater than the value."""

    kind: Literal["greater_than"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        return ordered(value, ">", self.value, context=context)


class GreaterThanOrEqual(_OrderedFilter):
    """Keep rows whose column is the value or greater."""

    kind: Literal["greater_than_or_equal"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        return ordered(value, ">=", self.value, context=context)


class LessThan(_OrderedFilter):
    """Keep rows whose column is less than the value."""

    kind: Literal["less_than"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        return ordered(value, "<", self.value, context=context)


class LessThanOrEqual(_OrderedFilter):
    """Keep rows whose column is the value or less."""

    kind: Literal["less_than_or_equal"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        return ordered(value, "<=", self.value, context=context)


class In(_ListFilter):
    """Keep rows whose column is one of the values."""

    kind: Literal["in"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return listed(value, "in", self.values)


class NotIn(_ListFilter):
    """Keep rows whose column is none of the values."""

    kind: Literal["not_in"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return listed(value, "not in", self.values)


class Between(_RangeFilter):
    """Keep rows whose column lies in the range."""

    kind: Literal["between"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        ends = (self.lower, self.upper)
        return ranged(value, "between", ends, context=context)


class NotBetween(_RangeFilter):
    """Keep rows whose column lies outside the range."""

    kind: Literal["not_between"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, context: CompileContext) -> Expression:
        ends = (self.lower, self.upper)
        return ranged(value, "not between", ends, context=context)


class IsNull(Filter):
    """Keep rows whose column is null."""

    kind: Literal["is_null"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return compose("{value} is null", value=value.sql)


class IsNotNull(Filter):
    """Keep rows whose column is not null."""

    kind: Literal["is_not_null"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return compose("{value} is not null", value=value.sql)


class StartsWith(_TextFilter):
    """Keep rows whose column starts with the text."""

    kind: Literal["starts_with"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return searched("starts_with({value}, {text})", value, self.value)


class EndsWith(_TextFilter):
    """Keep rows whose column ends with the text."""

    kind: Literal["ends_with"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        template = "right({value}, char_length({text})) = {text}"
        return searched(template, value, self.value)


class Contains(_TextFilter):
    """Keep rows whose column contains the text."""

    kind: Literal["contains"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return searched("strpos({value}, {text}) > 0", value, self.value)


class NotContains(_TextFilter):
    """Keep rows whose column does not contain the text."""

    kind: Literal["not_contains"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return searched("strpos({value}, {text}) = 0", value, self.value)


class DateEquals(_DayFilter):
    """Keep rows whose column is on the day."""

    kind: Literal["date_equals"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "=", self.value)


class DateNotEquals(_DayFilter):
    """Keep rows whose column is on another day."""

    kind: Literal["date_not_equals"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "<>", self.value)


class DateGreaterThan(_DayFilter):
    """Keep rows whose column is after the day."""

    kind: Literal["date_greater_than"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, ">", self.value)


class DateGreaterThanOrEqual(_DayFilter):
    """Keep rows whose column is on the day or after."""

    kind: Literal["date_greater_than_or_equal"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, ">=", self.value)


class DateLessThan(_DayFilter):
    """Keep rows whose column is before the day."""

    kind: Literal["date_less_than"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "<", self.value)


class DateLessThanOrEqual(_DayFilter):
    """Keep rows whose column is on the day or before."""

    kind: Literal["date_less_than_or_equal"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "<=", self.value)


class DateBetween(_DayRangeFilter):
    """Keep rows whose column is on a day of the range."""

    kind: Literal["date_between"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "between", self.lower, self.upper)


class DateNotBetween(_DayRangeFilter):
    """Keep rows whose column is on a day outside the range."""

    kind: Literal["date_not_between"] = Field(alias="filter_type", description=KIND_DESCRIPTION)

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return by_day(value, "not between", self.lower, self.upper)


def _comparable_ends(lower: str | float, upper: str | float) -> tuple[float, float] | tuple[None, None]:
    # Two texts are compared by the column's type and collation, which only the server knows.
    if isinstance(lower, str) and isinstance(upper, str):
        return None, None
    try:
        return float(lower), float(upper)
    except ValueError:
        raise refused("cannot be compared: one end is a number, the other is text", field="upper") from None


FilterSettings = Annotated[
    Equals
    | NotEquals
    | GreaterThan
    | GreaterThanOrEqual
    | LessThan
    | LessThanOrEqual
    | In
    | NotIn
    | Between
    | NotBetween
    | IsNull
    | IsNotNull
    | StartsWith
    | EndsWith
    | Contains
    | NotContains
    | DateEquals
    | DateNotEquals
    | DateGreaterThan
    | DateGreaterThanOrEqual
    | DateLessThan
    | DateLessThanOrEqual
    | DateBetween
    | DateNotBetween,
    Field(discriminator="kind"),
]


class TableFilter(SettingsModel):
    """A filter and the table it belongs to."""

    table_info: TableReference = Field(description="The table whose rows are filtered.")
    settings: FilterSettings = Field(description="What a row must fulfil.")
