"""The demo itself, from running servers to the last screen."""

import time
from dataclasses import dataclass

from sandbox.compare import TableComparison, compare_databases
from sandbox.demo.follow import ReplicationTaskDriver
from sandbox.demo.report import LiveFacts, describe_traffic, format_table
from sandbox.demo.shopkeeper import Shopkeeper
from sandbox.demo.stack import Stack
from sandbox.demo.terminal import Terminal
from sandbox.demo.traffic import CONNECTIONS, TrafficCounts

GENTLE_RATE = 5.0  # transactions per second, once the demo has been shown
GENTLE_CONNECTIONS = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who runs the demo may choose."""

    seconds: float
    rate: float
    once: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found."""

    loaded_rows: int
    load_seconds: float
    live: LiveFacts
    traffic: TrafficCounts
    tables: list[TableComparison]

    @property
    def is_equal(self) -> bool:
        """Tell whether every table is the same on both sides."""
        return all(table.is_equal for table in self.tables)


def replicate(stack: Stack, shopkeeper: Shopkeeper, *, options: Options, terminal: Terminal) -> Outcome:
    """Load while the shop is busy, follow it, close the shop, and compare; raise StepError on failure."""
    driver = ReplicationTaskDriver(stack)
    logs = [shopkeeper.log_path]
    with terminal.step("Airflow Variable trempy_task_shop") as step:
        driver.define()
        step.conclude("its DAGs trempy_shop_full_load and trempy_shop_cdc are there")
    with terminal.step("Traffic", logs=logs) as step:
        shopkeeper.open(rate=options.rate, connections=CONNECTIONS)
        step.conclude(f"{CONNECTIONS} connections, about {options.rate:.0f} transactions per second")
    with terminal.step("Full load, while the traffic goes on", logs=logs) as step:
        started = time.monotonic()
        load = driver.load(step)
        load_seconds = time.monotonic() - started
        step.conclude(f"{load.loaded_rows:,} rows of {load.tables} tables")
    with terminal.step("Changes since then", logs=logs) as step:
        driver.start_cdc()
        driver.wait_until_keeping_up(step)
        step.conclude("the target has made up for the time of the load")
    with terminal.step(f"Live traffic for {options.seconds:.0f} s", logs=logs) as step:
        live = driver.sample(step, seconds=options.seconds, check=shopkeeper.require_open)
        step.conclude(live.describe_throughput())
    with terminal.step("Closing the shop", logs=logs) as step:
        traffic = shopkeeper.close()
        driver.wait_until_caught_up(step)
        step.conclude("everything committed on the source is on the target")
    with terminal.step("Comparing rows and checksums") as step:
        tables = compare_databases(stack.source.owner_uri, stack.target.provider_uri)
        step.conclude(f"{len(tables)} tables")
    return Outcome(load.loaded_rows, load_seconds, live, traffic, tables)


def reopen(shopkeeper: Shopkeeper, *, terminal: Terminal) -> None:
    """Let the shop go on, gently, for the person who wants to look around."""
    with terminal.step("Traffic goes on", logs=[shopkeeper.log_path]) as step:
        shopkeeper.open(rate=GENTLE_RATE, connections=GENTLE_CONNECTIONS)
        step.conclude(f"gently, {GENTLE_RATE:.0f} transactions per second")


def show_outcome(outcome: Outcome, *, terminal: Terminal) -> None:
    """Print the comparison and the figures."""
    rows = [_row(table) for table in outcome.tables]
    heading = ("table", "source rows", "target rows", "source checksum", "target checksum", "")
    unequal = sum(not table.is_equal for table in outcome.tables)
    verdict = "every table is equal" if outcome.is_equal else f"{unequal} tables DIFFER"
    total = sum(table.source.row_count for table in outcome.tables if table.source)
    terminal.say(f"\n{format_table(heading, rows)}\n\n  {total:,} rows in {len(rows)} tables: {verdict}.\n")
    terminal.say(f"  Full load   {outcome.loaded_rows:,} rows in {outcome.load_seconds:.0f} s, under traffic")
    terminal.say(f"  Applied     {outcome.live.describe_throughput()}")
    terminal.say(f"  Lag         {outcome.live.describe_lag()}")
    terminal.say(f"  Traffic     {describe_traffic(outcome.traffic)}\n")


def _row(table: TableComparison) -> tuple[object, ...]:
    source, target = table.source, table.target
    return (
        table.table,
        source.row_count if source else "missing",
        target.row_count if target else "missing",
        _short(source.checksum) if source else "",
        _short(target.checksum) if target else "",
        "equal" if table.is_equal else "DIFFERENT",
    )


def _short(checksum: int) -> str:
    """Shorten a sum of hashes for the eye; the comparison is of the whole."""
    return f"{checksum % 2**64:016x}"
