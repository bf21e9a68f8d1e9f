"""Benchmarks at a size that only shows that they work: each compares source and target itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import Comparison, Figure
from benchmarks.stage import Stage
from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer
from tests.support.servers import DatabaseServer

_SCALE = 0.001


@pytest.fixture
def stage(
    source_server: DatabaseServer, target_server: DatabaseServer, broker_server: object, tmp_path: Path
) -> Stage:
    if not isinstance(source_server, PostgresServer) or not isinstance(target_server, PostgresServer):
        pytest.skip("benchmarks run on servers of this machine")
    if not isinstance(broker_server, RabbitMqServer):
        pytest.skip("benchmarks run with a broker of this machine")
    return Stage(source_server, target_server, broker_server, tmp_path)


@pytest.mark.parametrize("name", ["full-load-many", "full-load-shaped", "catch-up-d", "lanes"])
def test_benchmark_compares_product_and_peers_and_ends_with_equal_rows(stage: Stage, name: str) -> None:
    findings = BENCHMARKS[name].run(stage, rounds=1, scale=_SCALE)

    comparisons = [entry for entry in findings if isinstance(entry, Comparison)]
    assert comparisons
    assert all(entry.ratio > 0 and entry.changes > 0 for entry in comparisons)
    assert all(entry.is_reached for entry in findings if isinstance(entry, Figure)), "too much memory"
