"""Read when a description wants to load: what cron can say exactly, and else why it is not in the draft."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trempy_provider.assistant import schedule_words as words
from trempy_provider.assistant.periods import (
    HOURS,
    MINUTES,
    Period,
    UnsayableError,
    listed,
    preset_of,
    step_of,
)
from trempy_provider.assistant.schedule_context import Places, is_of_a_thing, rest_of
from trempy_provider.assistant.words import is_negated
from trempy_provider.config.schedule import ScheduleError, check_schedule

_NEAR = 80  # characters between a day and the time of day that is meant
_BESIDE = 40  # characters between what was read and what changes its meaning
_LAST_DAY = 31
_BLANK = "·"
_SMALL = ("minute", "hour")


@dataclass(frozen=True, slots=True)
class Timing:
    """When to load: `schedule` and the words that say so; or `problem`, why they give none.

    `denied` are schedules that the text says not to have.
    """

    said: str = ""
    schedule: str | None = None
    problem: str | None = None
    denied: frozenset[str] = frozenset()


def read_schedule(text: str) -> Timing | None:
    """Return what a plain text says of when to load; None when it says nothing of it."""
    reading = _Reading(text)
    reading.read()
    return reading.timing()


@dataclass(slots=True)
class _Reading:
    """A text of which each part that was understood is blanked."""

    text: str
    periods: list[tuple[Period, re.Match[str]]] = field(default_factory=list)
    weekdays: set[int] = field(default_factory=set)
    days: list[re.Match[str]] = field(default_factory=list)
    month_days: set[str] = field(default_factory=set)
    part: str | None = None
    daily_times: int = 0
    clocks: set[tuple[int, int]] = field(default_factory=set)
    crons: set[str] = field(default_factory=set)
    said: list[re.Match[str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Take all that is said of time out of the text."""
        for found in self._take(words.CRON):
            self._read_cron(found)
        self._refuse_all(words.HALVES, "cron has no halves of a period")
        self._add_periods(words.HALF_HOUR, lambda _: Period(30, "minute"))
        self._add_periods(words.QUARTER_HOUR, lambda _: Period(15, "minute"))
        for pattern in words.COUNTED:
            self._add_periods(pattern, _counted)
        self._add_periods(words.SECOND, lambda found: Period(2, words.unit_of(found["unit"] or "day")))
        self._add_periods(words.ODD_PERIODS, lambda _: Period(2, "week"))
        for found in self._take(words.TIMES_PER):
            self._read_times_per(found)
        self._refuse_all(words.EXCEPTIONS, "an exception was not understood")
        self._read_weekdays()
        self._read_month_days()
        self._read_parts()
        for unit, pattern in words.SINGLE.items():
            for found in self._take(pattern):
                self._add(_single(unit), found)
        self._read_windows()
        self._read_clocks()
        self._refuse_all(words.CUES, "it was not understood")
        self._refuse_rest()

    def timing(self) -> Timing | None:
        """Return what was read."""
        denied = frozenset(self.denied)
        said = self._all_said()
        if self.problems:
            return Timing(self.problems[0][0], problem=self.problems[0][1], denied=denied)
        if not self.said:
            return Timing(denied=denied) if denied else None
        try:
            return Timing(said, self._cron(), denied=denied)
        except UnsayableError as error:
            return Timing(said, problem=str(error), denied=denied)

    def _take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Yield what is wished; what is negated is blanked as well."""
        for found in pattern.finditer(self.text):
            before = self.text
            self.text = before[: found.start()] + _BLANK * len(found[0]) + before[found.end() :]
            if not is_negated(before, found.start()):
                yield found
            elif pattern is not words.TIMES:
                timing = read_schedule(found[0])
                self.denied |= {timing.schedule} if timing and timing.schedule else set()

    def _refuse(self, said: str, why: str) -> None:
        self.problems.append((said, why))

    def _refuse_all(self, pattern: re.Pattern[str], why: str) -> None:
        for found in self._take(pattern):
            self._refuse(found[0], why)

    def _add_periods(self, pattern: re.Pattern[str], period_of: Callable[[re.Match[str]], Period]) -> None:
        for found in self._take(pattern):
            self._add(period_of(found), found)

    def _add(self, period: Period, found: re.Match[str]) -> None:
        self.said.append(found)
        if is_of_a_thing(found, self.text):
            self._refuse(found[0], "it is not clear that loads are meant")
        if period.count == 0:
            self._refuse(found[0], "it is no period")
        else:
            self.periods.append((period, found))

    def _read_cron(self, found: re.Match[str]) -> None:
        try:
            check_schedule(found[0])
        except ScheduleError:
            self._refuse(found[0], "it is no cron expression")
        else:
            self.crons.add(found[0])
            self.said.append(found)

    def _read_times_per(self, found: re.Match[str]) -> None:
        named = 2 if found["twice"] else 3 if found["thrice"] else None
        count, unit = named or words.number_of(found["count"]), words.unit_of(found["unit"])
        size = {"hour": MINUTES, "day": HOURS, "week": 7, "month": 1}.get(unit, 12)
        smaller = {"hour": "minute", "day": "hour", "week": "day"}.get(unit, "month")
        if unit == "day":
            self.daily_times = count
        if count == 0 or unit == "minute" or (size % count and unit != "day"):
            self._refuse(found[0], f"a {unit} cannot be parted evenly into {count}")
        elif count == 1 or unit == "day":
            self._add(Period(1, unit), found)
        else:
            self._add(Period(size // count, smaller), found)

    def _read_weekdays(self) -> None:
        for found in self._take(words.DAY_RANGE):
            first, last = words.day_of(found["first"]), words.day_of(found["last"])
            self._add_days(found, ((first + n) % 7 for n in range((last - first) % 7 + 1)))
        for pattern, numbers in ((words.WORKING_DAYS, range(1, 6)), (words.WEEKENDS, (0, 6))):
            for found in self._take(pattern):
                self._add_days(found, numbers)
        for found in self._take(words.DAYS_NAMED):
            self._add_days(found, words.days_of(found[0]))

    def _read_month_days(self) -> None:
        for pattern, day in words.DAYS_OF_MONTH:
            for found in self._take(pattern):
                self.said.append(found)
                self.days.append(found)
                numbers = [int(each) for each in re.findall(r"\d+", found[0])]
                self.month_days |= {day} if day else set(map(str, numbers))
                if any(not 1 <= number <= _LAST_DAY for number in numbers):
                    self._refuse(found[0], "it is no day of a month")

    def _read_parts(self) -> None:
        for part, pattern in words.DAY_PARTS.items():
            for found in self._take(pattern):
                self.part = part
                self._add(Period(1, "day"), found)

    def _add_days(self, found: re.Match[str], numbers: Iterable[int]) -> None:
        self.weekdays.update(numbers)
        self.said.append(found)
        self.days.append(found)

    def _read_windows(self) -> None:
        for period, found in self.periods:
            window = words.WINDOW.search(self.text[found.end() : found.end() + _NEAR])
            if period.unit in _SMALL and window is not None:
                self._refuse(found[0] + window[0], "hours of the day beside a period are not understood")

    def _read_clocks(self) -> None:
        days = Places([*self.days, *(found for _, found in self.periods)])
        times: list[tuple[re.Match[str], Sequence[tuple[int, int]]]] = []
        for found in self._take(words.TIMES):
            if not days.has_near(found, self.text, reach=_NEAR):
                is_said = not days.matches and found[0][0] in "a@"
                if is_said and re.search(r"\d[:h]\d|\d ?[ap]m|\dh", found[0]):
                    self._refuse(found[0], "on which days is not said")
                continue
            self.said.append(found)
            clocks = words.clocks_of(found[0], half=found["half"], part=self.part)
            self.clocks.update(clocks)
            times.append((found, clocks))
            if any(hour >= HOURS or minute >= MINUTES for hour, minute in clocks):
                self._refuse(found[0], "it is no time of day")
        differ = len(days.matches) > 1 and len({frozenset(clocks) for _, clocks in times}) > 1
        if differ or any(Places(self.days).surround(found) for found, _ in times):
            self._refuse(self._all_said(), "it asks for several schedules, and a task has one")

    def _refuse_rest(self) -> None:
        """Refuse what was read where something beside it was not understood."""
        said = Places(self.said)
        for found in rest_of(self.text):
            if said.has_near(found, self.text, reach=_BESIDE):
                self._refuse(self._all_said(), f"“{found[0]}” beside it was not understood")
                return

    def _all_said(self) -> str:
        return " ".join(match[0] for match in sorted(self.said, key=lambda match: match.start()))

    def _cron(self) -> str:
        """Put what was read into one expression; raise UnsayableError where none says it."""
        if self.crons:
            if len(self.crons) > 1 or len(self.said) > 1:
                raise UnsayableError("it asks for several schedules, and a task has one")
            return next(iter(self.crons))
        fields = self._period().cron() if self.periods else ("0", "0", "*", "*", "*")
        minute, hour, day, month, weekday = fields
        if self.month_days:
            if self.weekdays or weekday != "*":
                raise UnsayableError("cron cannot say days of the week and of the month together")
            day = ",".join(sorted(self.month_days, key=lambda each: (each == "L", each.zfill(2))))
        if self.weekdays:
            if day != "*":
                raise UnsayableError("cron cannot say days of the week and of the month together")
            weekday = "1-5" if self.weekdays == set(range(1, 6)) else listed(self.weekdays)
            weekday = "*" if len(self.weekdays) == 7 else weekday
        minute, hour = self._time_of_day(minute, hour)
        cron = " ".join((minute, hour, day, month, weekday))
        return preset_of(cron)

    def _period(self) -> Period:
        """Return the one period; a day or a week beside days of the week says nothing more than they do."""
        distinct = {period for period, _ in self.periods}
        if self.weekdays:
            distinct -= {Period(1, "day"), Period(1, "week")}
        if self.month_days:
            distinct -= {Period(1, "day"), Period(1, "month")}
        if len(distinct) > 1:
            raise UnsayableError("it asks for several schedules, and a task has one")
        return next(iter(distinct), Period(1, "day"))

    def _time_of_day(self, minute: str, hour: str) -> tuple[str, str]:
        is_daily = minute == hour == "0"
        if self.clocks and not is_daily:
            raise UnsayableError("it asks for a period and for times of day")
        if self.daily_times > 1 and not self.clocks:
            return self._evenly()
        if self.daily_times and self.clocks and self.daily_times != len(self.clocks):
            raise UnsayableError(f"it names {len(self.clocks)} time(s) of day")
        if not self.clocks:
            if self.part == "evening":
                raise UnsayableError("at what time is not said")
            return minute, hour
        minutes = {minute for _, minute in self.clocks}
        if len(minutes) > 1:
            raise UnsayableError("cron cannot say times of day with different minutes in one expression")
        return str(minutes.pop()), listed(hour for hour, _ in self.clocks)

    def _evenly(self) -> tuple[str, str]:
        if HOURS % self.daily_times:
            raise UnsayableError(f"a day's hours cannot be parted evenly into {self.daily_times}")
        return "0", step_of(HOURS // self.daily_times)


def _counted(found: re.Match[str]) -> Period:
    return Period(words.number_of(found["count"]), words.unit_of(found["unit"]))


def _single(unit: str) -> Period:
    return Period(3, "month") if unit == "quarter" else Period(1, unit)
