"""Sweep: find what tasks have left behind that nobody knows any more, and remove what is named.

A slot whose task is gone keeps WAL on the source for ever.
An orphan has a name as a task gives it (`trempy_<task>`), and the target's metadata knows no such task.
A source may feed several targets, and the tasks of another target look like orphans from here: so nothing is
removed that is not named, and nothing that somebody reads.

AMQP cannot list queues: those of the tasks found elsewhere, and of those named, are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import OBJECT_NAME_PREFIX, ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.metadata import applied_migrations, delete_task
from trempy_provider.postgres.metadata_places import metadata_session, read_schema_id
from trempy_provider.postgres.origins import origin_owners
from trempy_provider.postgres.publication import drop_publication
from trempy_provider.postgres.session import Endpoint, Session, static_sql

JOB = "sweep"


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object of a task that the target does not know."""

    task_name: str
    kind: str  # slot, publication, origin, metadata, queue
    name: str
    is_active: bool = False  # somebody reads it
    retained_bytes: int | None = None
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What was found; what was named is removed."""

    orphans: tuple[Orphan, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "orphan_count": len(self.orphans),
            "removed_count": sum(orphan.is_removed for orphan in self.orphans),
            "orphans": [asdict(orphan) for orphan in self.orphans],
        }


def sweep(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None = None,
    remove: Sequence[str] = (),
) -> SweepReport:
    """List what unknown tasks have left, and remove what is left of the tasks named in `remove`.

    That is slots and publications on the source, replication origins in the target, rows in the metadata
    database, and queues.
    `task` says which servers to look at.
    Raise ConfigurationError for a name of a task that is set up here, SlotInUseError for a slot that is read.
    """
    with (
        source.connect(JOB) as source_session,
        target.connect(JOB) as target_session,
        metadata_session(target, target_session, JOB) as metadata,
    ):
        known = {task.task_name, *_known_tasks(target_session)}
        wrong = sorted(known & set(remove))
        if wrong:
            raise ConfigurationError(
                f"task {wrong[0]} is set up in this target", hint="`trempy teardown` removes it."
            )
        found = [
            *_slots(source_session),
            *_publications(source_session),
            *_origins(target_session),
            *_metadata(target_session, metadata),
        ]
        found = [orphan for orphan in found if orphan.task_name not in known]
        if broker is not None:
            names = dict.fromkeys([*(orphan.task_name for orphan in found), *remove])
            found += [orphan for name in names for orphan in _queues(broker, name)]
        places = _Places(source_session, target_session, metadata, broker)
        return SweepReport(
            tuple(_removed(orphan, places) if orphan.task_name in remove else orphan for orphan in found)
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where orphans are."""

    source: Session
    target: Session
    metadata: Session
    broker: Broker | None


def _known_tasks(target: Session) -> set[str]:
    if not applied_migrations(target):
        return set()
    return {name for (name,) in target.fetch_all(static_sql("read_task_names"))}


def _slots(source: Session) -> Iterator[Orphan]:
    parameters = {"prefix": OBJECT_NAME_PREFIX}
    for name, is_active, retained_bytes in source.fetch_all(static_sql("our_slots"), parameters):
        task_name = name.removeprefix(OBJECT_NAME_PREFIX)
        yield Orphan(task_name, "slot", name, is_active, retained_bytes)


def _publications(source: Session) -> Iterator[Orphan]:
    for (name,) in source.fetch_all(static_sql("our_publications"), {"prefix": OBJECT_NAME_PREFIX}):
        yield Orphan(name.removeprefix(OBJECT_NAME_PREFIX), "publication", name)


def _origins(target: Session) -> Iterator[Orphan]:
    for name, task_name in origin_owners(target).items():
        yield Orphan(task_name, "origin", name)


def _metadata(target: Session, metadata: Session) -> Iterator[Orphan]:
    """Find what a metadata database has of tasks that this target has forgotten."""
    if metadata is target or not applied_migrations(metadata):
        return
    parameters = {"target_id": read_schema_id(target)}
    for (task_name,) in metadata.fetch_all(static_sql("tasks_of_target"), parameters):
        yield Orphan(task_name, "metadata", task_name)


def _queues(broker: Broker, task_name: str) -> Iterator[Orphan]:
    for name in broker.of_task(task_name).present_queues():
        yield Orphan(task_name, "queue", name)


def _removed(orphan: Orphan, places: _Places) -> Orphan:
    match orphan.kind:
        case "slot":
            places.source.execute(static_sql("drop_slot"), {"name": orphan.name})
        case "publication":
            drop_publication(places.source, orphan.name)
        case "origin":
            places.target.execute(static_sql("drop_origin"), {"name": orphan.name})
        case "metadata":
            delete_task(places.metadata, orphan.task_name, target_id=read_schema_id(places.target))
        case _:
            assert places.broker is not None
            places.broker.of_task(orphan.task_name).delete_topology()
    return replace(orphan, is_removed=True)
