"""Changes of tables being loaded, which wait in the target.

They are kept as batches in wire format, in the transaction that advances the checkpoint past them.
"""

from __future__ import annotations

from collections.abc import Iterator

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.lsn import Lsn

_READ_AHEAD = 8


def hold_changes(session: Session, task_name: str, *, source_oid: int, commit_lsn: Lsn, body: bytes) -> None:
    """Keep one transaction's changes of a table that is being loaded."""
    session.execute(
        static_sql("hold_changes"),
        {"task_name": task_name, "source_oid": source_oid, "commit_lsn": str(commit_lsn), "body": body},
    )


def read_held_changes(
    session: Session, task_name: str, *, source_oid: int
) -> Iterator[tuple[int, Lsn, Batch]]:
    """Yield held id, commit LSN and batch of a table's held changes, in commit order."""
    after = 0
    while True:
        rows = session.fetch_all(
            static_sql("next_held_changes"),
            {"task_name": task_name, "source_oid": source_oid, "after": after, "limit": _READ_AHEAD},
        )
        for after, commit_lsn, body in rows:
            yield after, Lsn.parse(commit_lsn), wire.decode(bytes(body))
        if len(rows) < _READ_AHEAD:
            return


def delete_held_changes(session: Session, task_name: str, *, source_oid: int, until: int) -> None:
    """Forget a table's held changes up to and including the held id `until`."""
    session.execute(
        static_sql("delete_held_until"), {"task_name": task_name, "source_oid": source_oid, "until": until}
    )
