from __future__ import annotations

from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.figures import Failed, Figure


def test_benchmark_whose_sides_differ_fails_and_lets_the_others_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(*_: Any, **__: Any) -> list[Figure]:
        raise AssertionError("source and target differ: bench.items")

    monkeypatch.setitem(BENCHMARKS, "differing", Benchmark("for this test", differ, 1.0))

    found = command._run(None, "differing", rounds=1, scale=1.0)  # type: ignore[arg-type]

    assert found == [Failed("differing", "AssertionError: source and target differ: bench.items")]
    assert "FAILED: differing" in capsys.readouterr().out


def test_every_benchmark_says_what_it_is_and_is_smaller_when_all_run() -> None:
    assert all(benchmark.what and 0 < benchmark.scale_among_all <= 1 for benchmark in BENCHMARKS.values())
