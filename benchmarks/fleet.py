"""Several tasks that follow at once, and the CPU that a backlog costs all of them together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.costs import CpuShares, measure_cpu
from benchmarks.marker import wait_for_marker
from benchmarks.product import Halves, Product, raise_ended
from benchmarks.stage import Stage


@dataclass(frozen=True, slots=True)
class Fleet:
    """Tasks whose capture and apply run."""

    stage: Stage
    products: Sequence[Product]
    halves: Sequence[Halves]

    @property
    def process_groups(self) -> dict[str, Callable[[], set[int]]]:
        """The servers' processes and the tasks', to count what they use."""
        return {
            **self.stage.process_groups,
            "capture": lambda: {halves["capture"].pid for halves in self.halves},
            "apply": lambda: {halves["apply"].pid for halves in self.halves},
        }

    def cost_of(self, make_changes: Callable[[], int], *, markers: Sequence[str]) -> CpuShares:
        """Return the CPU seconds from a backlog until it is applied; making it is not counted.

        Captures stand still meanwhile. `make_changes` sets the tables `markers` to the number it returns.
        """
        self._signal_captures(signal.SIGSTOP)
        try:
            number = make_changes()
        finally:
            with measure_cpu(self.process_groups) as shares:
                self._signal_captures(signal.SIGCONT)
                for product, table in zip(self.products, markers, strict=True):
                    uri = product.databases.target_uri
                    wait_for_marker(uri, number, table=table, check=self._raise_ended)
        return shares

    def _signal_captures(self, number: signal.Signals) -> None:
        for halves in self.halves:
            os.kill(halves["capture"].pid, number)

    def _raise_ended(self) -> None:
        for halves in self.halves:
            raise_ended(halves)


@contextmanager
def following(stage: Stage, products: Sequence[Product]) -> Iterator[Fleet]:
    """Set tasks up, let all of them follow beside the block, and remove them."""
    with ExitStack() as stack:
        for product in products:
            product.prepare()
            stack.callback(product.run, "teardown")
        halves = [stack.enter_context(product.following()) for product in products]
        yield Fleet(stage, products, halves)
