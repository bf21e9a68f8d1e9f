from __future__ import annotations

import json

from benchmarks.figures import Comparison, Failed, Figure, Skipped, findings_text

FASTER = Comparison("catch-up d", "native", (1.0, 2.0, 4.0), (2.0, 6.0, 4.0), 1.7, 1_000_000)


def test_ratio_is_the_median_of_the_rounds() -> None:
    assert FASTER.ratios == [2.0, 3.0, 1.0]
    assert FASTER.ratio == 2.0
    assert FASTER.is_reached


def test_ratio_below_its_aim_is_said() -> None:
    slower = Comparison("full load", "pipe", (2.0,), (1.0,), 1.2, 1_000)

    assert not slower.is_reached
    assert "NOT REACHED" in findings_text([slower])


def test_figure_above_its_limit_is_said() -> None:
    figure = Figure("peak memory of capture", "MB", (151.0,), at_most=150.0)

    assert not figure.is_reached
    assert "NOT REACHED" in findings_text([figure])
    assert Figure("native", "ms", (900.0, 1.0, 2.0)).value == 2.0


def test_what_was_left_out_and_what_failed_is_told_with_its_reason() -> None:
    text = findings_text([Skipped("capture", "no java"), Failed("catch-up", "source and target differ")])

    assert "skipped: capture: no java" in text
    assert "FAILED: catch-up: source and target differ" in text


def test_findings_are_json_with_medians_and_ratio() -> None:
    findings = [FASTER, Figure("a", "s", (1.0,)), Skipped("b", "c"), Failed("d", "e")]

    told = json.loads(json.dumps([entry.as_dict() for entry in findings]))
    assert told[0]["ratio"] == 2.0
    assert told[0]["product_median_seconds"] == 2.0
    assert [entry["kind"] for entry in told] == ["comparison", "figure", "skipped", "failed"]
