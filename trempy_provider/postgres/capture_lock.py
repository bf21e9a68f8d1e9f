"""Which process is a task's capture, and the readers of its slot that outlived theirs."""

from __future__ import annotations

from trempy_provider.postgres.session import Endpoint, Session, static_sql

JOB = "capture"
READERS = (JOB, "watch")  # whoever watches an idle slot gives way to a capture


def hold_capture_lock(metadata: Session, task_name: str) -> bool:
    """Be the task's capture until the session ends; return False while another one is."""
    return bool(metadata.fetch_value(static_sql("try_capture_lock"), {"task_name": task_name}))


def end_stale_readers(source: Endpoint, slot_name: str) -> bool:
    """End the walsender that still reads the slot for a process of this task; return whether there was one.

    Only the holder of the capture lock may call it: then the reader's process has ended, or has lost its
    connections and has not noticed yet.
    """
    with source.connect(JOB) as session:
        return any(
            session.fetch_all(
                static_sql("terminate_walsender"),
                {"name": slot_name, "application": source.application_name(job)},
            )
            for job in READERS
        )
