"""Random schemas, random concurrent transactions, random faults: in the end the target equals the source.

`make soak MINUTES=n` runs it for longer; `SEED=…` takes up the seed of a report.
The seed fixes servers, schema, settings, statements and faults; how they interleave differs from run to run.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from sandbox.installations import available_versions
from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer
from tests.model.episode import Episode, EpisodeReport
from tests.model.faults import Servers
from tests.support.databases import database_pair

EPISODE_SECONDS = 100.0


class OwnServers:
    """Servers of every version, each started when an episode first asks for it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._databases: dict[tuple[str, int], PostgresServer] = {}
        self._broker: RabbitMqServer | None = None

    def of(self, source_version: int, target_version: int) -> Servers:
        return Servers(
            self._database("source", source_version),
            self._database("target", target_version),
            self._a_broker(),
        )

    def close(self) -> None:
        self._stack.close()

    def _database(self, side: str, version: int) -> PostgresServer:
        if (side, version) not in self._databases:
            server = self._databases[side, version] = PostgresServer(version)
            self._stack.callback(server.remove)
            server.start()
        return self._databases[side, version]

    def _a_broker(self) -> RabbitMqServer:
        if self._broker is None:
            self._broker = RabbitMqServer()
            self._stack.callback(self._broker.remove)
            self._broker.start()
        return self._broker


@pytest.fixture
def own_servers() -> Iterator[OwnServers]:
    servers = OwnServers()
    yield servers
    servers.close()


@pytest.mark.model
def test_target_equals_the_source_and_the_oracle_through_random_faults(
    own_servers: OwnServers,
    model_seed: str,
    model_seconds: float,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    deadline = time.monotonic() + model_seconds
    with capsys.disabled():
        _say(f"model seed {model_seed}")
    reports: list[EpisodeReport] = []
    for number in itertools.count():
        seed = f"{model_seed}-{number}" if "-" not in model_seed else model_seed
        ends_at = min(time.monotonic() + EPISODE_SECONDS, deadline)
        reports.append(run_episode(seed, own_servers, tmp_path / str(number), ends_at=ends_at))
        with capsys.disabled():
            _say(str(reports[-1]))
        if time.monotonic() >= deadline:
            break
    transactions = sum(report.transaction_count for report in reports)
    with capsys.disabled():
        _say(f"{transactions} transactions compared in {len(reports)} episodes")
    if model_seconds >= EPISODE_SECONDS:  # else it may have ended before anything was done
        assert transactions > 0
        assert sum(report.schema_change_count for report in reports) > 0
        assert sum(sum((report.fault_counts or {}).values()) for report in reports) > 0
        assert sum(report.comparison_count for report in reports) > 0


def _say(text: str) -> None:
    """Write to the terminal: a worker's standard output goes nowhere."""
    print(f"\n{text}", file=sys.stderr, flush=True)


def run_episode(seed: str, servers: OwnServers, folder: Path, *, ends_at: float) -> EpisodeReport:
    folder.mkdir()
    random = Random(f"{seed} servers")
    versions = sorted(available_versions())
    used = servers.of(random.choice(versions), random.choice(versions))
    with database_pair(used.source, used.target) as databases:
        episode = Episode(seed, databases=databases, servers=used, folder=folder)
        try:
            episode.run(deadline=ends_at)
        except BaseException as error:
            error.add_note(f"seed {seed}, {used.source.version} to {used.target.version}: {episode.options}")
            error.add_note(f"{episode.report}\n{episode.logs}")
            error.add_note(episode.states)
            raise
        finally:
            episode.close()
    return episode.report
