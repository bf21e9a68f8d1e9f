"""What cron can say of a period: it starts anew with each hour, day, month and year."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.config.schedule import PRESETS

HOURS, MINUTES = 24, 60
_PRESET_OF = {
    "0 * * * *": "@hourly",
    "0 0 * * *": "@daily",
    "0 0 * * 0": "@weekly",
    "0 0 1 * *": "@monthly",
    "0 0 1 */3 *": "@quarterly",
    "0 0 1 1 *": "@yearly",
}
_DAY_SECONDS = 86400
_FIELD_SIZES = (("minute", MINUTES), ("hour", HOURS), ("day", 0), ("month", 12), ("weekday", 0))
_LARGER = (("minute", "hour", MINUTES), ("hour", "day", HOURS), ("day", "week", 7), ("month", "year", 12))
_FORMS = {  # of a unit: how many of them begin anew together, and the cron fields of a period of it
    "minute": (MINUTES, "{step} * * * *"),
    "hour": (HOURS, "0 {step} * * *"),
    "day": (1, "0 0 * * *"),
    "week": (1, "0 0 * * 0"),
    "month": (12, "0 0 1 {step} *"),
    "year": (1, "0 0 1 1 *"),
}


class UnsayableError(ValueError):
    """Cron has no expression for it."""


@dataclass(frozen=True, slots=True)
class Period:
    """Every so many minutes, hours, days, weeks, months or years."""

    count: int
    unit: str

    def cron(self) -> tuple[str, str, str, str, str]:
        """Return the five fields; raise UnsayableError where the period does not fit into them."""
        count, unit = self.count, self.unit
        for smaller, larger, size in _LARGER:
            if unit == smaller and count % size == 0:
                count, unit = count // size, larger
        size, form = _FORMS[unit]
        if size % count:
            raise UnsayableError(f"cron cannot say every {count} {unit}s evenly")
        minute, hour, day, month, weekday = form.format(step=step_of(count)).split()
        return minute, hour, day, month, weekday


def preset_of(schedule: str) -> str:
    """Return the preset that says the same as a schedule, or the schedule itself."""
    return _PRESET_OF.get(" ".join(schedule.split()), schedule)


def seconds_between(schedule: str) -> int | None:
    """Return the least time between two loads of a schedule, months as four weeks; None where unknown."""
    fields = next((cron for cron, preset in _PRESET_OF.items() if preset == schedule), schedule).split()
    if len(fields) != len(_FIELD_SIZES):
        return None
    minute, hour, day, _, weekday = fields
    minutes = sorted(h * MINUTES + m for h in _numbers(hour, HOURS) for m in _numbers(minute, MINUTES))
    if len(minutes) > 1:
        following = [*minutes[1:], minutes[0] + HOURS * MINUTES]
        return 60 * min(after - before for before, after in zip(minutes, following, strict=True))
    if day != "*":
        return 28 * _DAY_SECONDS
    return 7 * _DAY_SECONDS if weekday.isdigit() else _DAY_SECONDS


def uneven_steps(schedule: str) -> list[str]:
    """Return the steps of a schedule that are not the period they look like."""
    fields = () if schedule in PRESETS else schedule.split()
    return [
        f"{part} in the {name} field"
        for (name, size), text in zip(_FIELD_SIZES, fields, strict=False)
        for part in text.split(",")
        if _is_uneven(part, size)
    ]


def _is_uneven(part: str, size: int) -> bool:
    start, _, step = part.partition("/")
    if "-" in start or not step.isdigit() or int(step) == 1:
        return False
    return size == 0 or size % int(step) != 0


def _numbers(text: str, size: int) -> set[int]:
    """Return the minutes or hours that a cron field names."""
    numbers: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 0 if first == "*" else int(first)
        end = int(last) if last else (size - 1 if first == "*" or step else begin)
        numbers.update(range(begin, end + 1, int(step or 1)))
    return numbers


def step_of(count: int) -> str:
    """Return the cron field of every so many."""
    return "*" if count == 1 else f"*/{count}"


def listed(numbers: Iterable[int]) -> str:
    """Return the cron field of some numbers."""
    return ",".join(str(number) for number in sorted(numbers))
