"""One snapshot for many sessions over a long time.

The exporting session of a snapshot cannot do anything else, and a temporary slot keeps WAL back; so a
keeper, an idle transaction, takes the snapshot over and exports it again, and the slot is gone at once.
Readers import it for one part at a time: a lock on a source table lasts as long as its part is copied, and a
reader that lost its connection imports it again while the keeper lives.

A relation that was rewritten since the snapshot (TRUNCATE, ALTER TABLE) shows no rows to it; that is noticed
under the lock, never taken for an empty table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from psycopg2 import sql

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, SourceError
from trempy_provider.postgres.load_plan import Leaf
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.snapshot import open_snapshot
from trempy_provider.postgres.translation import SourceStatementError
from trempy_provider.replication.lsn import Lsn

_NO_SUCH_SNAPSHOT = frozenset({"22023", "42704", "55000"})


class SnapshotLostError(SourceError):
    """A snapshot cannot be read any more."""

    policy = RetryPolicy.BY_ITSELF
    hint = "The tables that are not ready are loaded again from a new snapshot."


class LoadSnapshot:
    """A snapshot of the source, kept by an idle transaction until close().

    Changes committed before `lsn` are in the snapshot.
    `taken_at` is a time by the source's clock before any other commit.
    """

    def __init__(self, keeper: Session, *, name: str, lsn: Lsn, taken_at: datetime) -> None:
        self.keeper = keeper
        self.name = name
        self.lsn = lsn
        self.taken_at = taken_at

    @classmethod
    def open(cls, source: Endpoint, task: ReplicationTask) -> LoadSnapshot:
        """Export a snapshot and let a keeper take it over."""
        keeper = source.connect("full_load_keeper")
        try:
            # Read before the slot is made: what commits after its consistent point has begun since.
            taken_at = keeper.fetch_value("select clock_timestamp()")
            with open_snapshot(source, task) as exported:
                _begin(keeper, exported.name)
            name = str(keeper.fetch_value("select pg_export_snapshot()"))
        except BaseException:
            keeper.close()
            raise
        return cls(keeper, name=name, lsn=exported.consistent_point, taken_at=taken_at)

    @contextmanager
    def reading(self, session: Session) -> Iterator[None]:
        """Run the block in a read-only transaction of `session` that sees the snapshot."""
        _begin(session, self.name)
        try:
            yield
        except BaseException:
            session.close()  # it may be in the middle of a COPY
            raise
        try:
            session.execute("commit")
        except SourceError:  # what was read was read
            session.close()

    def close(self) -> None:
        """Let the snapshot go; transactions that have imported it keep it."""
        self.keeper.close()


def lock_leaf(session: Session, leaf: Leaf) -> None:
    """Keep the relation as it is until the transaction ends; raise SnapshotLostError if it was rewritten."""
    if leaf.is_foreign:
        return
    session.execute(sql.SQL("lock table only {} in access share mode").format(leaf.name.identifier))
    if session.fetch_value(static_sql("is_rewritten"), {"oid": leaf.oid}):
        raise SnapshotLostError(f"{leaf.name} was rewritten since the snapshot was taken")


def _begin(session: Session, snapshot_name: str) -> None:
    session.execute("begin isolation level repeatable read read only")
    try:
        session.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot_name)))
    except SourceStatementError as error:
        if error.sqlstate not in _NO_SUCH_SNAPSHOT:
            raise
        session.close()
        raise SnapshotLostError(f"snapshot {snapshot_name} is gone") from error
