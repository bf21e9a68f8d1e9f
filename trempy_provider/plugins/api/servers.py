"""Ask the servers of tasks how far the tasks are: each connection once, for all tasks that name it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from trempy_provider.broker.base import QueueDepths
from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.postgres import read_parameters
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.jobs.overview import (
    DatabaseReading,
    SourceReading,
    TaskOverview,
    read_database,
    read_source,
    task_overview,
)
from trempy_provider.plugins.api.shared_reads import Answer, Read, SharedReads
from trempy_provider.plugins.api.steps import sparklines_of
from trempy_provider.postgres.metadata import applied_migrations
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.statistics import read_sparklines

APPLICATION = "page"
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 5000


@dataclass(frozen=True, slots=True)
class TaskReading:
    """How far a task is, and which servers did not say, and why."""

    overview: TaskOverview
    problem: str | None = None


def quick_endpoint(conn_id: str, *, role: str) -> Endpoint:
    """Return a database whose sessions give up connecting soon."""
    return Endpoint(lambda: _quick_parameters(conn_id), task_name=APPLICATION, role=role)


@contextmanager
def quick_session(conn_id: str, *, role: str) -> Iterator[Session]:
    """Open a session that gives up soon: a viewer waits for it."""
    with quick_endpoint(conn_id, role=role).connect("read") as session:
        session.execute(static_sql("set_statement_timeout"), {"milliseconds": STATEMENT_MILLISECONDS})
        yield session


class Servers:
    """What the servers of all tasks say, shared among viewers."""

    def __init__(self, reads: SharedReads) -> None:
        self._reads = reads

    def read(
        self, tasks: Collection[ReplicationTask], *, among: Collection[ReplicationTask]
    ) -> dict[str, TaskReading]:
        """Return how far each task is, by name; what is read serves all the tasks `among` which they are."""
        wanted, shared = _reads_of(tasks), _reads_of(among)
        answers = self._reads.read({key: shared.get(key, read) for key, read in wanted.items()})
        return {task.task_name: _put_together(task, answers) for task in tasks}


class Sparklines:
    """The last hour of all tasks, shared among viewers for longer: it has one value a minute."""

    def __init__(self, reads: SharedReads) -> None:
        self._reads = reads

    def read(
        self, tasks: Collection[ReplicationTask], *, among: Collection[ReplicationTask]
    ) -> dict[str, dict[str, list[float | None]]]:
        """Return the lines of each task that has any, by name; none where a server does not answer."""
        wanted = {task.target_conn_id for task in tasks}
        names: dict[str, set[str]] = {conn_id: set() for conn_id in wanted}
        for task in (*tasks, *among):
            if task.target_conn_id in wanted:
                names[task.target_conn_id].add(task.task_name)
        answers = self._reads.read(_reads("sparklines", names, _ask_sparklines))
        return {name: lines for answer in answers.values() for name, lines in (answer.value or {}).items()}


def _ask_sparklines(conn_id: str, task_names: frozenset[str]) -> dict[str, dict[str, list[float | None]]]:
    with quick_session(conn_id, role="target") as session:
        if not applied_migrations(session):
            return {}
        now = session.fetch_value("select now()")
        samples = read_sparklines(session, task_names)
    return {name: sparklines_of(line, now=now) for name, line in samples.items()}


def _reads_of(tasks: Collection[ReplicationTask]) -> dict[Hashable, Read]:
    sources: dict[str, set[str]] = {}
    databases: dict[str, set[str]] = {}
    brokers: dict[str, set[str]] = {}
    for task in tasks:
        databases.setdefault(task.target_conn_id, set()).add(task.task_name)
        databases.setdefault(task.metadata_conn_id, set()).add(task.task_name)
        if task.captures_changes:
            sources.setdefault(task.source_conn_id, set()).add(task.slot_name)
            brokers.setdefault(task.broker_conn_id, set()).add(task.task_name)
    return {
        **_reads("source", sources, _ask_source),
        **_reads("database", databases, _ask_database),
        **_reads("broker", brokers, _ask_broker),
    }


def _reads(
    kind: str, names_by_connection: Mapping[str, set[str]], ask: Callable[[str, frozenset[str]], Any]
) -> dict[Hashable, Read]:
    return {
        (kind, conn_id): Read(frozenset(names), partial(ask, conn_id, frozenset(names)))
        for conn_id, names in names_by_connection.items()
    }


def _ask_source(conn_id: str, slot_names: frozenset[str]) -> SourceReading:
    with quick_session(conn_id, role="source") as session:
        return read_source(session, slot_names)


def _ask_database(conn_id: str, task_names: frozenset[str]) -> DatabaseReading:
    with quick_session(conn_id, role="target") as session:
        return read_database(session, task_names)


def _ask_broker(conn_id: str, task_names: frozenset[str]) -> dict[str, QueueDepths]:
    return RabbitMQHook(conn_id).broker(APPLICATION).depths_of(sorted(task_names))


def _put_together(task: ReplicationTask, answers: Mapping[Hashable, Answer]) -> TaskReading:
    nothing = Answer()
    asked = {
        "target": ("database", task.target_conn_id),
        "metadata": ("database", task.metadata_conn_id),
        "source": ("source", task.source_conn_id),
        "broker": ("broker", task.broker_conn_id),
    }
    told = {role: answers.get(key, nothing) for role, key in asked.items()}
    queues: Mapping[str, QueueDepths] = told["broker"].value or {}
    overview = task_overview(
        task,
        source=told["source"].value,
        metadata=told["metadata"].value,
        target=told["target"].value,
        queue=queues.get(task.task_name),
    )
    problems = {answer.problem: role for role, answer in reversed(told.items()) if answer.problem}
    for role in ("metadata", "target"):
        reading: DatabaseReading | None = told[role].value
        if reading is not None and reading.problem is not None:
            problems[reading.problem] = role
    return TaskReading(overview, "; ".join(_named(role, text) for text, role in problems.items()) or None)


def _named(role: str, problem: str) -> str:
    return problem if problem.startswith(role) else f"{role}: {problem}"


def _quick_parameters(conn_id: str) -> ConnectionParameters:
    parameters = read_parameters(conn_id)
    given = parameters.options.get("connect_timeout", "")
    seconds = min(int(given), CONNECT_SECONDS) if given.isdigit() and given != "0" else CONNECT_SECONDS
    return replace(parameters, options={**parameters.options, "connect_timeout": str(seconds)})
