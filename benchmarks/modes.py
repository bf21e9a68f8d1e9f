"""What SCD2 and transformations cost in apply, beside the product's own plain upsert."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Comparison, Finding
from benchmarks.marker import CREATE_MARKER, MARKER_TABLE, set_marker
from benchmarks.product import Product, peak_figures
from benchmarks.stage import Stage
from benchmarks.workloads import WORKLOADS
from tests.support.databases import DatabasePair, database_pair
from tests.support.settings_entries import change_value, create_column

_TABLE = "bench.items"


@dataclass(frozen=True, slots=True)
class Mode:
    """Settings that are compared with plain upsert."""

    what: str
    cdc_settings: Mapping[str, Any]
    settings: Mapping[str, Any]
    must_reach: float


_TRANSFORMATIONS = [
    change_value(_TABLE, "math_expression", "n", expression="value * 2 + 1"),
    change_value(_TABLE, "uppercase", "note"),
    create_column(_TABLE, "concat", "label", depends_on=["note", "n"], separator="-"),
]
MODES = {
    "scd2": Mode("SCD2", {"mode": "scd2"}, {}, 0.5),
    "transformed": Mode(
        "upsert with 3 transformations", {"mode": "upsert"}, {"transformations": _TRANSFORMATIONS}, 0.8
    ),
}


def mode(stage: Stage, *, name: str, rounds: int, scale: float) -> list[Finding]:
    """Let two tasks catch up with workload d in turn; `trempy validate` compares their targets at the end."""
    chosen, workload = MODES[name], WORKLOADS["d"]
    tables = (*workload.tables, MARKER_TABLE)
    with stage.databases() as databases, ExitStack() as stack:
        databases.source_admin.execute("create schema bench; " + workload.create_sql(scale) + CREATE_MARKER)
        databases.source_superuser.execute("vacuum analyze")
        other = stack.enter_context(database_pair(stage.source, stage.target))
        plain = _task(stage, databases, "plain", tables, cdc_settings={"mode": "upsert"})
        special = _task(
            stage,
            with_target_of(databases, other),
            "special",
            tables,
            cdc_settings=chosen.cdc_settings,
            extra=chosen.settings,
        )
        seconds: dict[str, list[float]] = {"special": [], "plain": []}
        changes = 0
        for product in (plain, special):
            product.prepare()
            stack.callback(product.run, "teardown")
        for number in range(1, rounds + 1):
            changes = workload.run(stage, databases.source_admin, scale)
            set_marker(databases.source_admin, number)
            for product in (plain, special) if number % 2 else (special, plain):
                seconds[product.task_name].append(product.catch_up(number)[0])
        for product in (plain, special):
            product.run("validate")
    comparison = Comparison(
        name=f"catch-up d, {chosen.what}",
        peer="plain upsert",
        product_seconds=tuple(seconds["special"]),
        peer_seconds=tuple(seconds["plain"]),
        must_reach=chosen.must_reach,
        changes=changes,
    )
    return [comparison, *peak_figures(comparison.name, special)]


def _task(
    stage: Stage,
    databases: DatabasePair,
    name: str,
    tables: tuple[str, ...],
    *,
    cdc_settings: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Product:
    return Product(
        stage,
        databases,
        tables,
        options={"cdc_settings": dict(cdc_settings)},
        extra=dict(extra or {}),
        task_name=name,
    )


def with_target_of(databases: DatabasePair, other: DatabasePair) -> DatabasePair:
    """Return the source of one pair with the target of another."""
    other.allow_replica_role()
    return DatabasePair(
        databases.source,
        databases.source_admin,
        databases.source_superuser,
        other.target,
        other.target_admin,
        other.target_superuser,
    )
