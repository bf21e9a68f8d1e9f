"""The metadata schema `trempy`: its migrations and the tasks set up in it.

A task's checkpoint and capture progress are in `checkpoints`, its tables in `table_states`.
Where a task keeps a part of it in another database than its target, `metadata_places` tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from trempy_provider.errors import MetadataError, TargetPermissionError
from trempy_provider.postgres.namespaces import ensure_schema
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.text_collation import BYTEWISE
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.lsn import Lsn

METADATA_SCHEMA = "trempy"
_UNDEFINED = frozenset({"42P01", "42703", "3F000"})  # undefined_table and _column, invalid_schema_name


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as it was set up: the source it belongs to and its objects there."""

    task_name: str
    system_identifier: str
    timeline: int
    source_database: str
    slot_name: str | None = None  # None: the task captures no changes
    publication_name: str | None = None
    consistent_point: Lsn | None = None
    set_up_at: datetime | None = None
    stop_reason: str | None = None
    stopped_at: datetime | None = None
    target_id: str | None = None  # the schema in the target; None: this one


def migrate(session: Session) -> list[str]:
    """Bring the metadata schema to this version's state and return the migrations that ran.

    Safe to run at the same time from several processes, and again after a kill.
    Raise MetadataError when a newer version of this package has been here.
    """
    if applied_migrations(session) == available_migrations():
        return []
    with session.transaction():
        session.execute(static_sql("lock_migrations"))
        _create_schema(session)
        present = session.fetch_all(static_sql("read_migrations"))
        missing = _missing_migrations([name for (name,) in present])
        for name in missing:
            session.execute(static_sql(f"migrations/{name}"))
            session.execute(static_sql("insert_migration"), {"name": name})
    return missing


def applied_migrations(session: Session) -> list[str]:
    """Return the names of the migrations that have run, [] when the schema is missing."""
    if session.fetch_value(static_sql("has_migrations")):
        return [name for (name,) in session.fetch_all(static_sql("read_migrations"))]
    return []


def check_migrations(session: Session) -> None:
    """Raise MetadataError when a newer version of this package has been here."""
    _missing_migrations(applied_migrations(session))


def drop_metadata(session: Session) -> bool:
    """Drop the metadata schema if no task is left in it; return whether it was dropped."""
    if not session.fetch_value(static_sql("has_migrations")):
        return False
    with session.transaction():
        session.execute(static_sql("lock_migrations"))
        if session.fetch_value(static_sql("count_tasks")):
            return False
        session.execute(static_sql("drop_metadata"))
    return True


def read_task(session: Session, task_name: str) -> TaskRow | None:
    """Return a task's row, None when it has not been set up.

    Raise MetadataError without the schema, or when the row is not here but in another database.
    """
    with schema_required():
        row = session.fetch_one(static_sql("read_task"), {"task_name": task_name})
    if row is None:
        return None
    if row[10] is not None:
        raise elsewhere_error(task_name)
    return TaskRow(
        task_name=row[0],
        system_identifier=row[1],
        timeline=row[2],
        source_database=row[3],
        slot_name=row[4],
        publication_name=row[5],
        consistent_point=None if row[6] is None else Lsn.parse(row[6]),
        set_up_at=row[7],
        stop_reason=row[8],
        stopped_at=row[9],
        target_id=row[11],
    )


def read_text_collation(session: Session, task_name: str) -> str:
    """Return the collation that letters and the order of text follow in a task."""
    return known_text_collation(session, task_name) or BYTEWISE


def known_text_collation(session: Session, task_name: str) -> str | None:
    """Return a task's collation, None when it was set up by a version without transformations."""
    with schema_required():
        name: str | None = session.fetch_value(static_sql("read_text_collation"), {"task_name": task_name})
        return name


def write_text_collation(session: Session, task_name: str, text_collation: str) -> None:
    """Note the collation that letters and the order of text follow in a task."""
    parameters = {"task_name": task_name, "text_collation": text_collation}
    with schema_required():
        session.execute(static_sql("write_text_collation"), parameters)


def write_task(session: Session, row: TaskRow) -> None:
    """Insert a task's row or bring it up to date; a stop is forgotten.

    Raise MetadataError when another target has a task of this name here.
    """
    with schema_required():
        written = session.execute(
            static_sql("write_task"),
            {
                "task_name": row.task_name,
                "system_identifier": row.system_identifier,
                "timeline": row.timeline,
                "source_database": row.source_database,
                "slot_name": row.slot_name,
                "publication_name": row.publication_name,
                "consistent_point": None if row.consistent_point is None else str(row.consistent_point),
                "target_id": row.target_id,
            },
        )
    if not written:
        raise other_target_error(row.task_name)


def follow_timeline(session: Session, task_name: str, timeline: int) -> None:
    """Note that the task goes on on another timeline of its source."""
    with schema_required():
        session.execute(static_sql("follow_timeline"), {"task_name": task_name, "timeline": timeline})


def delete_task(session: Session, task_name: str, *, target_id: str | None = None) -> bool:
    """Delete a task's row and everything that hangs on it; return whether there was one.

    `target_id` is that of the row: a task of another target that has the same name is left alone.
    """
    parameters = {"task_name": task_name, "target_id": target_id}
    with schema_required():
        return session.execute(static_sql("delete_task"), parameters) > 0


def record_stop(session: Session, task_name: str, reason: str) -> None:
    """Record why a person is needed."""
    with schema_required():
        session.execute(static_sql("record_stop"), {"task_name": task_name, "reason": reason})


def clear_stop(session: Session, task_name: str) -> None:
    """Forget the reason of a stop."""
    with schema_required():
        session.execute(static_sql("clear_stop"), {"task_name": task_name})


@contextmanager
def schema_required() -> Iterator[None]:
    """Turn "undefined table" into MetadataError: the task has not been set up in this database."""
    try:
        yield
    except TargetStatementError as error:
        if error.sqlstate in _UNDEFINED:
            raise MetadataError(f"no metadata schema trempy, or an incomplete one: {error}") from error
        raise


@contextmanager
def explaining_version(session: Session) -> Iterator[None]:
    """Say where metadata lacks what the block reads because an older version has written it.

    Raise MetadataError then, and what the block raises otherwise.
    """
    try:
        yield
    except (MetadataError, TargetStatementError) as error:
        refused = error.__cause__ if isinstance(error, MetadataError) else error
        if isinstance(refused, TargetStatementError) and refused.sqlstate in _UNDEFINED:
            problem = version_problem(applied_migrations(session))
            if problem is not None:
                raise MetadataError(problem) from error
        raise


def version_problem(present: list[str]) -> str | None:
    """Tell that metadata with these migrations is of an older version, and what helps; None if it is not.

    Without any there is no metadata, which is no problem of versions.
    """
    missing = [name for name in available_migrations() if name not in present]
    if not present or not missing:
        return None
    return (
        f"the metadata schema trempy is of an older version, without migration {missing[0]}; the next setup "
        "brings it up to date: run the DAG of the task's full load or CDC"
    )


def elsewhere_error(task_name: str) -> MetadataError:
    """Return the error of settings that look for a task's metadata where it is not."""
    return MetadataError(
        f"task {task_name} keeps its metadata in another database than the one that metadata_conn_id names "
        "(null names the target)",
        hint="Set metadata_conn_id as it was. To keep the metadata in another database from now on, "
        "run `trempy reload`: it starts from zero.",
    )


def other_target_error(task_name: str) -> MetadataError:
    """Return the error of a name that another target has taken in a metadata database."""
    return MetadataError(
        f"the metadata database has a task {task_name} already, of another target",
        hint="Choose another task_name; if that target is gone, delete the task's row in trempy.tasks there.",
    )


def _create_schema(session: Session) -> None:
    if session.fetch_value(static_sql("has_migrations")):
        return
    try:
        ensure_schema(session, METADATA_SCHEMA)
    except TargetPermissionError as error:
        raise _schema_refused(session) from error
    session.execute(static_sql("create_migrations"))


def _schema_refused(session: Session) -> TargetPermissionError:
    return TargetPermissionError(
        f"{session.role} {session.parameters.where}: the role may not create the schema trempy",
        hint="As a superuser in that database: create schema trempy authorization <the task's role>.",
    )


def _missing_migrations(present: list[str]) -> list[str]:
    available = available_migrations()
    unknown = sorted(set(present) - set(available))
    if unknown:
        raise MetadataError(
            f"the metadata schema trempy has migration {unknown[-1]}, which this version does not know",
            hint="Install the version of airflow-provider-trempy that wrote it, or a newer one.",
        )
    return [name for name in available if name not in present]


def available_migrations() -> list[str]:
    """Return the names of this version's migrations, in their order."""
    folder = files("trempy_provider.postgres") / "sql" / "migrations"
    return sorted(
        entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")
    )
