"""The schedule of what recurs: a cron expression of five fields, or one of Airflow's presets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from trempy_provider.config.fields import Text, refused

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
SCHEDULE_WORDS = "five cron fields (minute hour day month weekday) or " + ", ".join(PRESETS)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>[0-9]{1,4}))?", re.ASCII)


class ScheduleError(ValueError):
    """The text is neither a cron expression nor a preset."""


@dataclass(frozen=True, slots=True)
class _CronField:
    name: str
    minimum: int
    maximum: int
    names: tuple[str, ...] = ()
    special: str = ""

    def check(self, text: str) -> None:
        """Raise ScheduleError unless every part of the list is in range."""
        for part in text.split(","):
            if self.special and re.fullmatch(self.special, part, re.IGNORECASE):
                continue
            match = _PART.fullmatch(part)
            if match is None or not self._allows(match):
                raise ScheduleError(f"has `{part}` in the {self.name} field, which goes {self._range()}")

    def _allows(self, match: re.Match[str]) -> bool:
        ends = [end for end in (match["first"], match["last"]) if end is not None]
        if match["first"] == "*":
            ends.remove("*")
        if match["first"] == "*" and ends:
            return False
        return all(self._is_in_range(end) for end in ends) and int(match["step"] or 1) > 0

    def _is_in_range(self, end: str) -> bool:
        return end.lower() in self.names or (end.isdigit() and self.minimum <= int(end) <= self.maximum)

    def _range(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"from {self.minimum} to {self.maximum}{names}"


_FIELDS = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField("day", 1, 31, special="L"),
    _CronField("month", 1, 12, names=_MONTHS),
    _CronField("weekday", 0, 7, names=_WEEKDAYS, special=r"L?[0-7](#[1-5])?"),
)


def check_schedule(text: str) -> None:
    """Raise ScheduleError unless the text is a schedule."""
    if text in PRESETS:
        return
    fields = text.split()
    if text.startswith("@") or len(fields) != len(_FIELDS):
        raise ScheduleError("not a schedule")
    for field, value in zip(_FIELDS, fields, strict=True):
        field.check(value)


def _check_schedule(text: str) -> str:
    try:
        check_schedule(text)
    except ScheduleError as error:
        raise refused(str(error), allowed=SCHEDULE_WORDS) from error
    return text


Schedule = Annotated[
    Text,
    AfterValidator(_check_schedule),
    WithJsonSchema({"type": "string", "minLength": 1, "$comment": SCHEDULE_WORDS}),
]
