"""Batches: payloads that are published, delivered and applied together.

A batch holds whole transactions, or one chunk of one large transaction.
It is self-contained: pgoutput describes a relation once per stream, a batch describes every relation it uses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.table_facts import facts_by_table, with_corrected_facts

_DESCRIPTIONS = frozenset({b"R", b"Y", b"M"})


class ChunkEnd(Enum):
    """What follows a chunk: another one, or nothing because the transaction has ended."""

    OPEN = "open"
    COMMIT = "commit"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The place of a batch within a large transaction; `index` counts from 0.

    `subtransactions` says which (sub)transaction made the changes: from the payload at a position on, up to
    the next position; empty when there was none but the transaction itself.
    `rolled_back` are subtransactions rolled back since the chunk before: what they did in that and earlier
    chunks does not count.
    """

    index: int
    end: ChunkEnd
    subtransactions: tuple[tuple[int, int], ...] = ()
    rolled_back: tuple[int, ...] = ()

    @property
    def xids(self) -> frozenset[int]:
        """The (sub)transactions whose changes are in the chunk, as far as they are told apart."""
        return frozenset(xid for _, xid in self.subtransactions)


@dataclass(frozen=True, slots=True)
class Batch:
    """Payloads that are published, delivered and applied together.

    `session_number` tells which start of capture sent it; a later one sends anew whatever an earlier one had
    not brought to its end.
    `first_lsn` is the commit LSN of the first transaction (of a chunk: NO_LSN while it is not known),
    `end_lsn` the end LSN of the last one (of a chunk that does not end with the commit: that of the batch
    before), `previous_lsn` the end LSN of the batch before.
    `transaction_id` is that of the last transaction, `committed_at` when it committed (in the protocol's
    microseconds); None while it is in progress on the source.
    Chunks hold no Begin and no Commit: what they say is in the header of the last chunk.
    """

    task_name: str
    session_number: int
    sequence: int
    previous_lsn: Lsn
    first_lsn: Lsn
    end_lsn: Lsn
    transaction_count: int
    change_count: int
    transaction_id: int
    committed_at: int | None
    chunk: Chunk | None
    payloads: Sequence[bytes]

    @property
    def message_id(self) -> str:
        """The message's name, unique within the task."""
        return f"{self.session_number}-{self.sequence}"

    @property
    def is_complete(self) -> bool:
        """Tell whether the batch ends at a commit."""
        return self.chunk is None or self.chunk.end is ChunkEnd.COMMIT


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full."""

    max_rows: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class PublishedCommit:
    """Where and when the last transaction committed that was published; the time is not always known."""

    end_lsn: Lsn
    committed_at: int | None


def committed_chunk(batch: Batch, *, last: Batch, rolled_back: Collection[int]) -> Batch:
    """Return a chunk as part of the transaction that `last` has committed.

    Left out are the changes of the subtransactions `rolled_back`; descriptions of relations stay, because
    later changes may rest on them.
    The facts of tables are those told at the commit.
    """
    assert batch.chunk is not None
    payloads = batch.payloads
    if not batch.chunk.xids.isdisjoint(rolled_back):
        payloads = tuple(_without(payloads, batch.chunk.subtransactions, rolled_back))
    if batch is not last:
        corrected = facts_by_table(last.payloads)
        payloads = with_corrected_facts(payloads, corrected) if corrected else payloads
    return replace(
        batch,
        first_lsn=last.first_lsn,
        committed_at=last.committed_at,
        chunk=replace(batch.chunk, subtransactions=()),
        payloads=payloads,
    )


def _without(
    payloads: Sequence[bytes], subtransactions: tuple[tuple[int, int], ...], rolled_back: Collection[int]
) -> Iterator[bytes]:
    starts = [start for start, _ in subtransactions]
    yield from payloads[: starts[0]]
    for (start, xid), end in zip(subtransactions, [*starts[1:], len(payloads)], strict=True):
        run = payloads[start:end]
        yield from run if xid not in rolled_back else filter(is_description, run)


def is_description(payload: bytes) -> bool:
    """Tell whether a payload describes a relation or a type, or tells facts of a table."""
    return payload[:1] in _DESCRIPTIONS
