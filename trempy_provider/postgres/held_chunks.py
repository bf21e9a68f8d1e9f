"""Chunks of large transactions, kept in the target until the transaction has ended.

They are in wire format, and each is written in a transaction of its own before it is acknowledged.
Chunks that no commit will ever follow (capture was killed and has sent the transaction anew) go when the
first batch of the later start of capture is applied.
Each lane of apply keeps its part of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trempy_provider.errors import GapError
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, committed_chunk


def hold_chunk(session: Session, batch: Batch, *, body: bytes) -> None:
    """Keep a chunk, and note which subtransactions it says were rolled back."""
    assert batch.chunk is not None
    _note_rolled_back(session, batch)
    parameters = {**_transaction(session, batch), "chunk_index": batch.chunk.index, "body": body}
    session.execute(static_sql("hold_chunk"), parameters)


def read_transaction(session: Session, last: Batch) -> Iterator[Batch]:
    """Yield the chunks of a committed transaction in order, up to `last`, one at a time.

    Changes of subtransactions that were rolled back are left out.
    Raise GapError when a chunk is missing.
    """
    assert last.chunk is not None
    _note_rolled_back(session, last)
    for index in range(last.chunk.index):
        yield _committed(session, _read_chunk(session, last, index), last)
    yield _committed(session, last, last)


def delete_chunks(session: Session, batch: Batch) -> None:
    """Forget the chunks of the transaction that a chunk belongs to."""
    session.execute(static_sql("delete_chunks"), _transaction(session, batch))


def follow_capture_session(session: Session, task_name: str, session_number: int) -> None:
    """Note that batches of a later start of capture are applied; forget the chunks of earlier ones."""
    query = "follow_capture_session" if session.lane is None else "follow_lane_session"
    parameters = {"task_name": task_name, "lane": session.lane or 0, "session_number": session_number}
    session.execute(static_sql(query), parameters)


def _read_chunk(session: Session, last: Batch, index: int) -> Batch:
    body = session.fetch_value(
        static_sql("read_chunk"), {**_transaction(session, last), "chunk_index": index}
    )
    if body is None:
        raise GapError(f"chunk {index} of transaction {last.transaction_id} at {last.first_lsn} is missing")
    return wire.decode(bytes(body))


def _committed(session: Session, batch: Batch, last: Batch) -> Batch:
    assert batch.chunk is not None
    xids = batch.chunk.xids
    rolled_back: set[int] = set()
    if xids:
        rows = session.fetch_all(
            static_sql("read_rolled_back"), {**_transaction(session, last), "xids": list(xids)}
        )
        rolled_back = {xid for (xid,) in rows}
    return committed_chunk(batch, last=last, rolled_back=rolled_back)


def _note_rolled_back(session: Session, batch: Batch) -> None:
    assert batch.chunk is not None
    if batch.chunk.rolled_back:
        parameters = {**_transaction(session, batch), "rolled_back": list(batch.chunk.rolled_back)}
        session.execute(static_sql("note_rolled_back"), parameters)


def _transaction(session: Session, batch: Batch) -> dict[str, Any]:
    return {
        "task_name": batch.task_name,
        "lane": session.lane or 0,
        "session_number": batch.session_number,
        "transaction_id": batch.transaction_id,
    }
