"""From samples to what the page draws, and how quickly counters grow."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from trempy_provider.config.differences import find_differences
from trempy_provider.plugins.api.rates import Rates
from trempy_provider.plugins.api.steps import Range, points_of, sparklines_of
from trempy_provider.postgres.statistics import StatisticsStep

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=timezone.utc)
NOON = NOW.replace(second=0)
HOUR = Range(3600, 60, 60)


def step(minutes_ago: int, inserts: int, lag_seconds: float | None = 0.5) -> StatisticsStep:
    at = NOON - timedelta(minutes=minutes_ago)
    return StatisticsStep(at, lag_seconds, 10, 1, 100, inserts, 0, 0, 0, inserts // 10)


def test_a_step_has_what_was_counted_since_the_last_sample() -> None:
    points = points_of([step(60, 100), step(3, 160), step(0, 200)], HOUR, now=NOW)

    assert len(points) == 60
    assert points[-1]["at"] == NOON.isoformat()
    assert [point["inserts"] for point in points[-4:]] == [60, 0, 0, 40]
    assert points[-1]["rows_per_second"] == 40 / 180
    assert [point["lag_seconds"] for point in points[-4:]] == [0.5, None, None, 0.5]
    assert points[-1]["batches"] == 4


def test_the_time_without_samples_is_idle_while_the_task_is_known_to_wait() -> None:
    waiting = replace(step(20, 100), idle_until=NOON - timedelta(minutes=12, seconds=30))
    steps = [
        step(25, 100),
        waiting,
        step(5, 130),
        replace(step(3, 130), idle_until=NOON + timedelta(hours=1)),
    ]

    followed = points_of(steps, HOUR, now=NOW, is_followed=True)
    ended = points_of(steps, HOUR, now=NOW, is_followed=False)

    assert _idle_minutes(followed) == [*range(19, 12, -1), *range(2, -1, -1)]
    assert _idle_minutes(ended) == [*range(19, 12, -1)]
    assert {point["lag_seconds"] for point in followed if point["idle"]} == {None}


def test_a_wait_that_began_before_the_range_is_idle_in_it() -> None:
    waiting = replace(step(70, 100), idle_until=NOON - timedelta(minutes=50))

    points = points_of([waiting, step(40, 100)], HOUR, now=NOW)

    assert _idle_minutes(points) == [*range(59, 50, -1)]


def _idle_minutes(points: list[dict[str, Any]]) -> list[int]:
    return [59 - index for index, point in enumerate(points) if point["idle"]]


def test_a_task_that_was_set_up_anew_counts_from_zero() -> None:
    points = points_of([step(70, 1000), step(1, 30)], HOUR, now=NOW)

    assert points[-2]["inserts"] == 30


def test_what_was_done_before_the_first_sample_is_in_its_step() -> None:
    points = points_of([step(1, 120)], HOUR, now=NOW)

    assert points[-2]["inserts"] == 120
    assert points[-2]["rows_per_second"] == 2.0


def test_without_samples_there_are_points_all_the_same() -> None:
    points = points_of([], HOUR, now=NOW)

    assert len(points) == 60
    assert {point["lag_seconds"] for point in points} == {None}
    assert {point["inserts"] for point in points} == {0}


def test_a_sparkline_has_a_value_for_each_minute_that_was_sampled() -> None:
    samples = [(NOON - timedelta(minutes=n), float(n), 1000 - 60 * n) for n in (61, 2, 1, 0)]

    lines = sparklines_of(samples, now=NOW)

    assert lines["lag_seconds"][-3:] == [2.0, 1.0, 0.0]
    assert lines["lag_seconds"][:-3] == [None] * 57
    assert lines["rows_per_second"][-2:] == [1.0, 1.0]


def test_rates_are_known_from_the_second_look_on_and_cover_a_minute() -> None:
    rates = Rates()

    first = rates.note("a", NOW, {"changes": 0})
    second = rates.note("a", NOW + timedelta(seconds=10), {"changes": 50})
    for n in range(20, 200, 10):
        later = rates.note("a", NOW + timedelta(seconds=n), {"changes": 50})

    assert (first, second, later) == ({}, {"changes": 5.0}, {"changes": 0.0})


def test_a_counter_that_begins_anew_has_no_rate_of_the_time_before() -> None:
    rates = Rates()
    rates.note("a", NOW, {"changes": 1000})

    anew = rates.note("a", NOW + timedelta(seconds=10), {"changes": 5})
    after = rates.note("a", NOW + timedelta(seconds=20), {"changes": 25})

    assert (anew, after) == ({}, {"changes": 2.0})


def test_differences_are_named_by_the_innermost_field() -> None:
    before = {"task": {"a": 1, "gone": [1]}, "tables": [{"n": "x"}, {"n": "y"}], "same": None}
    after = {"task": {"a": True, "new.key": "<b>"}, "tables": [{"n": "x"}, {"n": "z"}, {}], "same": None}

    found = [(each.path, each.before, each.after) for each in find_differences(before, after)]

    assert found == [
        ("task.a", 1, True),
        ("task.gone", [1], None),
        ("task.new.key", None, "<b>"),
        ("tables[1].n", "y", "z"),
        ("tables[2]", None, {}),
    ]
