"""A full load beside the ways PostgreSQL's own tools have of copying tables."""

from __future__ import annotations

from functools import partial

from benchmarks.costs import CpuShares, measure_cpu_with_clients
from benchmarks.equality import assert_equal
from benchmarks.figures import Comparison, Finding, Skipped
from benchmarks.load_peers import PEERS, missing_program, psql, timed
from benchmarks.loads import Load, load_of
from benchmarks.product import Product
from benchmarks.stage import Stage
from tests.support.databases import DatabasePair, database_pair


def full_load(stage: Stage, name: str, *, rounds: int, scale: float) -> list[Finding]:
    """Measure one load against each of its peers; raise AssertionError when a copy differs.

    Target tables are made by the product; where its peers make foreign keys, psql makes them after the load,
    within the time measured.
    """
    load = load_of(name, scale)
    missing = {peer: reason for peer in load.must_reach if (reason := missing_program(peer))}
    peers = [peer for peer in load.must_reach if peer not in missing]
    seconds: dict[str, list[float]] = {side: [] for side in ("product", *peers)}
    used: dict[str, CpuShares] = {}
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        databases.source_admin.execute("create schema bench;" + load.create)
        databases.source_superuser.execute("vacuum analyze")
        sides = {"product": (partial(_product, stage, databases, load), databases)}
        sides |= {peer: (partial(_peer, peer, stage, databases, other, load), other) for peer in peers}
        for number in range(rounds):
            for side in seconds if number % 2 else reversed(seconds):
                measure, pair = sides[side]
                seconds[side].append(measure(used=used))
                if load.by_hand is None:
                    assert_equal(databases.source_superuser, pair.target_superuser, load.tables)
                    _empty(pair)
            if load.by_hand is not None:  # the source has other rows: both ways must have made the same
                assert_equal(other.target_superuser, databases.target_superuser, load.tables)
                for pair in (databases, other):
                    _empty(pair)
    skipped = [Skipped(f"full load {load.what} against {peer}", reason) for peer, reason in missing.items()]
    return [*(_comparison(load, peer, seconds, used) for peer in peers), *skipped]


def _comparison(
    load: Load, peer: str, seconds: dict[str, list[float]], used: dict[str, CpuShares]
) -> Comparison:
    return Comparison(
        name=f"full load {load.what}",
        peer=peer,
        product_seconds=tuple(seconds["product"]),
        peer_seconds=tuple(seconds[peer]),
        must_reach=load.must_reach[peer],
        changes=load.rows,
        notes=f"CPU seconds: {used['product']}; {peer}: {used[peer]}",
    )


def _peer(
    peer: str,
    stage: Stage,
    databases: DatabasePair,
    other: DatabasePair,
    load: Load,
    *,
    used: dict[str, CpuShares],
) -> float:
    with measure_cpu_with_clients(stage.process_groups) as used[peer]:
        return PEERS[peer](stage, databases, other, load)


def _product(stage: Stage, databases: DatabasePair, load: Load, *, used: dict[str, CpuShares]) -> float:
    options = {"replication_type": "full_load"}
    product = Product(stage, databases, load.tables, options=options, extra=dict(load.settings))
    product.write_settings()
    if "setup" not in load.commands:
        product.run("setup")
    with measure_cpu_with_clients(stage.process_groups) as used["product"]:
        seconds = sum(timed(partial(product.run, command)) for command in load.commands)
        if load.foreign_keys:
            seconds += timed(partial(psql, stage, databases.target_superuser, load.foreign_keys))
    product.run("teardown")
    return seconds


def _empty(pair: DatabasePair) -> None:
    pair.target_superuser.execute("drop schema bench cascade")
