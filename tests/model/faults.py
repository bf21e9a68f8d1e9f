"""Random faults against a running site; each returns when it is over, and leaves the rest to recovery."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer
from tests.faults.dying import command, start
from tests.faults.launcher import ForkedProcess
from tests.faults.steps import APPLY, CAPTURE, LOAD
from tests.support.halves import Process
from tests.support.proxy import Direction, Trap
from tests.support.site import Site
from tests.support.wait import wait_until

TERMINATE = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where application_name like 'trempy/%' and datname = current_database()"
)
ALARMS = (
    ("set_vm_memory_high_watermark", "0.000001", "0.8"),
    ("set_disk_free_limit", "1000000GB", "50MB"),
)


@dataclass(slots=True)
class Servers:
    """The servers of an episode; all of them may be crashed."""

    source: PostgresServer
    target: PostgresServer
    broker: RabbitMqServer


class Faults:
    """What is done to a site; whatever ends a half's process on purpose is told to `expect_death`."""

    def __init__(self, site: Site, servers: Servers, random: Random) -> None:
        self._site = site
        self._servers = servers
        self._random = random
        self.loads: list[Process] = []  # processes that are to be waited for
        self.counts: dict[str, int] = {}

    def inject(self) -> str:
        """Do one of them, and return its name."""
        (fault,) = self._random.choices(list(FAULTS), weights=list(FAULTS.values()))
        name = fault.__name__.replace("_", " ").strip()
        self.counts[name] = self.counts.get(name, 0) + 1
        fault(self)
        return name

    def heal(self) -> None:
        """Take away what still disturbs."""
        for half in self._site.halves:
            for proxy in half.wires.proxies.values():
                proxy.set_trap(None)
                proxy.come_up()
                proxy.cut()

    def _kill_one(self) -> None:
        self._random.choice(self._site.halves).kill()

    def _kill_both(self) -> None:
        for half in self._site.halves:
            half.kill()

    def _die_at_a_step(self) -> None:
        half, steps = self._random.choice([(self._site.capture, CAPTURE), (self._site.apply, APPLY)])
        step = self._random.choice(steps)
        half.kill()
        start(half, step=step)

    def _cut_one(self) -> None:
        half = self._random.choice(self._site.halves)
        self._random.choice(list(half.wires.proxies.values())).cut()

    def _cut_all(self) -> None:
        for half in self._site.halves:
            for proxy in half.wires.proxies.values():
                proxy.cut()

    def _cut_after_some_bytes(self) -> None:
        half = self._random.choice(self._site.halves)
        proxy = half.wires.proxies[self._random.choice(["source", "target", "broker"])]
        size = self._random.choice([100, 1000, 10_000, 100_000])
        proxy.set_trap(Trap(self._random.choice(list(Direction)), size_bytes=size))

    def _go_deaf(self) -> None:
        """Lose one direction of a connection for a while, then the connection."""
        half = self._random.choice(self._site.halves)
        proxy = half.wires.proxies[self._random.choice(["source", "target", "broker"])]
        proxy.lose(self._random.choice(list(Direction)))
        time.sleep(self._random.uniform(0.2, 2))
        proxy.cut()

    def _stall(self) -> None:
        half = self._random.choice(self._site.halves)
        proxy = half.wires.proxies[self._random.choice(["source", "target", "broker"])]
        proxy.hold(*self._random.choice([(), (Direction.TO_CLIENT,), (Direction.TO_SERVER,)]))
        time.sleep(self._random.uniform(0.2, 2))
        proxy.release()

    def _be_unreachable(self) -> None:
        half = self._random.choice(self._site.halves)
        proxy = half.wires.proxies[self._random.choice(["source", "target", "broker"])]
        proxy.go_down()
        time.sleep(self._random.uniform(0.2, 2))
        proxy.come_up()

    def _end_sessions_of_the_source(self) -> None:
        self._site.databases.source_superuser.execute(TERMINATE)

    def _end_sessions_of_the_target(self) -> None:
        self._site.databases.target_superuser.execute(TERMINATE)

    def _restart_source(self) -> None:
        self._servers.source.restart(self._random.choice(["fast", "immediate"]))

    def _restart_target(self) -> None:
        self._servers.target.restart(self._random.choice(["fast", "immediate"]))

    def _crash_source(self) -> None:
        self._servers.source.kill()
        self._servers.source.start()

    def _crash_target(self) -> None:
        self._servers.target.kill()
        self._servers.target.start()

    def _restart_broker(self) -> None:
        self._servers.broker.restart()

    def _crash_broker(self) -> None:
        self._servers.broker.kill()
        self._servers.broker.start()

    def _refuse_messages(self) -> None:
        """Raise an alarm of the broker, over its memory or its disk."""
        setting, too_much, enough = self._random.choice(ALARMS)
        self._servers.broker.ctl(setting, too_much)
        time.sleep(self._random.uniform(0.2, 2))
        self._servers.broker.ctl(setting, enough)

    def _load_a_table_again(self) -> None:
        """Begin to load a table again; sometimes the load dies."""
        table = self._random.choice(list(self._site.tables))
        step = self._random.choice([None, None, *LOAD])
        self.loads.append(
            ForkedProcess(
                ["reload", str(self._site.command.settings_file), "--table", table],
                environment=self._site.capture.wires.environment,
                log_path=self._site.command.settings_file.with_suffix(".load.log"),
                step=step,
            )
        )


FAULTS: dict[Callable[[Faults], None], int] = {
    Faults._kill_one: 12,
    Faults._kill_both: 4,
    Faults._die_at_a_step: 20,
    Faults._cut_one: 8,
    Faults._cut_all: 3,
    Faults._cut_after_some_bytes: 10,
    Faults._go_deaf: 6,
    Faults._stall: 5,
    Faults._be_unreachable: 4,
    Faults._end_sessions_of_the_source: 4,
    Faults._end_sessions_of_the_target: 4,
    Faults._load_a_table_again: 6,
    Faults._restart_source: 2,
    Faults._restart_target: 2,
    Faults._crash_source: 2,
    Faults._crash_target: 2,
    Faults._refuse_messages: 2,
    Faults._restart_broker: 1,
    Faults._crash_broker: 1,
}


def finish_loads(site: Site, processes: list[Process]) -> None:
    """Let the loads under way end, and load whatever those that died have left."""
    for process in processes:
        process.wait(120)
    processes.clear()
    wait_until(lambda: command(site, "full-load") == 0, timeout_seconds=120, what="all tables loaded")
