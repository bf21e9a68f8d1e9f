"""Where a task's metadata is: all of it in its target, or a part in a metadata database.

The target keeps what commits with its rows: checkpoint, table states, held changes, row errors and dead
letters.
The metadata database keeps what does not: the source, slot and publication of the task, why it has stopped,
and the progress of capture.
Nothing is in both, and nothing depends on a commit in both at once: `jobs/setup.py` says in which order a
start from zero writes them.

Each side's row in `tasks` names the other side's schema by its id, so that settings which name another
database are noticed, and so is another target's task of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trempy_provider.errors import MetadataError
from trempy_provider.postgres.metadata import elsewhere_error, other_target_error, schema_required
from trempy_provider.postgres.session import Endpoint, Session, static_sql


@dataclass(frozen=True, slots=True)
class MetadataPlace:
    """One side: which schema it is, and what it has of a task."""

    schema_id: str | None = None  # None: there is none yet
    has_task: bool = False
    metadata_id: str | None = None  # the schema that has the rest of the metadata; None: this one
    target_id: str | None = None  # the schema in the target; None: this one
    is_half_made: bool = False  # a setup has begun and not ended
    has_checkpoint: bool = False

    def is_completed_by(self, metadata: MetadataPlace) -> bool:
        """Tell whether the rest of what this target has of its task is where it says; both may be one."""
        if metadata is self:
            return self.metadata_id is None
        return self.metadata_id is not None and self.metadata_id == metadata.schema_id


@contextmanager
def metadata_session(target: Endpoint, session: Session, job: str) -> Iterator[Session]:
    """Yield the target's own session, or one with the task's metadata database."""
    if target.metadata is target:
        yield session
        return
    with target.metadata.connect(job) as metadata:
        yield metadata


def read_place(session: Session, task_name: str) -> MetadataPlace:
    """Return what a database has of a task; raise MetadataError when its schema is of an older version."""
    if not session.fetch_value(static_sql("has_migrations")):
        return MetadataPlace()
    with schema_required():
        row = session.fetch_one(static_sql("read_metadata_place"), {"task_name": task_name})
    assert row is not None
    return MetadataPlace(*row)


def read_schema_id(session: Session) -> str | None:
    """Return what tells a metadata schema from those of other databases."""
    return read_place(session, "").schema_id


def verify_places(target: Session, metadata: Session, task_name: str) -> None:
    """Raise MetadataError unless both sides know of each other, or neither knows the task.

    A setup that was killed leaves one side only; setup goes on from there.
    """
    here = read_place(target, task_name)
    there = here if metadata is target else read_place(metadata, task_name)
    verify_owner(target, metadata, task_name)
    if here.has_task and not here.is_completed_by(there):
        raise elsewhere_error(task_name)
    if there.has_task and not here.has_task and not there.is_half_made:
        raise _lost_error(task_name, "the target")
    if here.has_checkpoint and not there.has_task:
        raise _lost_error(task_name, "the metadata database")


def verify_owner(target: Session, metadata: Session, task_name: str) -> None:
    """Raise MetadataError when the task of this name is that of another target."""
    here = read_place(target, task_name)
    if here.has_task and here.target_id is not None:
        raise other_target_error(task_name)
    there = here if metadata is target else read_place(metadata, task_name)
    if metadata is not target and there.has_task and there.target_id != here.schema_id:
        raise other_target_error(task_name)


def write_target_part(target: Session, metadata: Session, task_name: str) -> None:
    """Let the target know of a task whose other metadata is in the metadata database."""
    parameters = {"task_name": task_name, "metadata_id": read_schema_id(metadata)}
    if not target.execute(static_sql("write_target_part"), parameters):
        raise other_target_error(task_name)


def _lost_error(task_name: str, place: str) -> MetadataError:
    return MetadataError(
        f"{place} does not have its part of the metadata of task {task_name}: it was restored or made anew",
        hint="Restore it, or run `trempy reload`, which starts from zero.",
    )
