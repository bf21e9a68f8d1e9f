"""Collect the payloads of a slot's stream into batches.

A batch ends at a commit, except that a transaction larger than the limits is cut into chunks, each a batch
of its own.
Memory is bounded by the limits, whatever the size and the number of transactions.

The stream has transactions of two kinds.
A committed one stands between its Begin and its Commit.
One that is still in progress when it outgrows the source's `logical_decoding_work_mem` comes in segments
(Stream Start to Stream Stop), interleaved with all others; each of its changes carries the xid of its
subtransaction, and Stream Abort takes back one subtransaction or the whole.
Its chunks are published at once, and Stream Commit ends it, in its place in commit order.

The description of a relation in a segment belongs to that transaction until it commits (see
`maybe_send_schema` and `cleanup_rel_sync_cache` in PostgreSQL's pgoutput.c); of several that are committed,
the one sent last counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from trempy_provider.errors import ProtocolError, SlotLostError
from trempy_provider.replication import json_sizes, pgoutput
from trempy_provider.replication.batches import Batch, BatchLimits, Chunk, ChunkEnd, PublishedCommit
from trempy_provider.replication.json_sizes import MeasureOf
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.masking import MasksOf, no_masks
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    StreamAbort,
    StreamCommit,
    StreamStart,
    Truncate,
)
from trempy_provider.replication.open_transactions import (
    Descriptions,
    OpenTransaction,
    TransactionsInProgress,
    refuse_nesting,
)
from trempy_provider.replication.payload_buffers import (
    BOUNDS_BYTES,
    Contents,
    Description,
    TransactionBuffer,
    WholeTransactions,
)
from trempy_provider.replication.payload_runs import PayloadRuns, change_payloads, relation_oids
from trempy_provider.replication.table_facts import ReadFacts, facts_to_be_told

_ROW_CHANGES = frozenset({b"I", b"U", b"D"})
_NOTHING = Contents((), 0)


class BatchBuilder:
    """Turn payloads into batches; one builder per stream.

    `masks_of` gives the masks of a relation; no value that it masks is kept.
    With `leaves_out_replicated`, transactions that the source received by replication are left out.
    `read_facts` tells of a table what is to stand before its description.
    `awaited` is a transaction that was published before and has to come again.
    With `measure_of`, batches are as large as changes are in JSON messages.
    """

    def __init__(
        self,
        *,
        task_name: str,
        session_number: int,
        previous_lsn: Lsn,
        limits: BatchLimits,
        leaves_out_replicated: bool = False,
        read_facts: ReadFacts | None = None,
        awaited: PublishedCommit | None = None,
        masks_of: MasksOf = no_masks,
        measure_of: MeasureOf | None = None,
    ) -> None:
        self._task_name = task_name
        self._session_number = session_number
        self._limits = limits
        self._leaves_out_replicated = leaves_out_replicated
        self._read_facts = read_facts
        self._awaited = awaited
        self._sequence = count()
        self._last_end_lsn = previous_lsn
        self._descriptions = Descriptions(masks_of, measure_of)
        self._bounds_bytes = BOUNDS_BYTES if measure_of is None else json_sizes.BOUNDS_BYTES
        self._whole = WholeTransactions(self._bounds_bytes)
        self._open: OpenTransaction | None = None  # between Begin and Commit
        self._segment: OpenTransaction | None = None  # between Stream Start and Stream Stop
        self._in_progress = TransactionsInProgress()
        self._readers: dict[bytes, Callable[[bytes], list[Batch]]] = {
            b"B": self._begin,
            b"C": self._commit,
            b"T": self._add_truncate,
            b"R": self._describe,
            b"Y": self._describe_type,
            b"O": self._note_origin,
            b"M": self._ignore,
            b"S": self._start_segment,
            b"E": self._stop_segment,
            b"c": self._commit_streamed,
            b"A": self._abort_streamed,
        }

    @property
    def in_transaction(self) -> bool:
        """Tell whether the stream is inside a committed transaction or a segment."""
        return self._open is not None or self._segment is not None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing that is committed is waiting to be published."""
        return not self.has_whole_transactions and not self.in_transaction

    @property
    def has_whole_transactions(self) -> bool:
        """Tell whether `take` has something to return."""
        return self._whole.last is not None

    @property
    def last_end_lsn(self) -> Lsn:
        """The end LSN of the last batch returned that ended at a commit."""
        return self._last_end_lsn

    def add(self, payload: bytes) -> list[Batch]:
        """Take a payload in stream order and return the batches that are full now (at most two).

        Raise ProtocolError when the payload does not fit the stream.
        """
        marker = payload[:1]
        if marker in _ROW_CHANGES:
            return self._add_row_change(payload)
        reader = self._readers.get(marker)
        if reader is None:
            raise ProtocolError(f"unexpected pgoutput message {marker!r} in a stream of protocol version 2")
        return reader(payload)

    def add_all(self, payloads: Sequence[bytes]) -> Iterator[Batch]:
        """Take payloads in stream order and yield the batches that are full, as `add` does one by one.

        Runs of plain row changes are taken at once.
        """
        runs = PayloadRuns(payloads)
        place = 0
        while place < len(payloads):
            run = self._run(runs, place) or payloads[place : place + 1]
            if len(run) == 1 or not self._takes_at_once(run):
                for payload in run:
                    yield from self.add(payload)
            place += len(run)

    def _run(self, runs: PayloadRuns, place: int) -> Sequence[bytes]:
        """Return the payloads from `place` on that may be taken at once."""
        if self._segment is not None:
            return ()
        if self._open is not None:
            return runs.row_changes(place)
        return runs.whole_transactions(place) if self._awaited is None else ()

    def _takes_at_once(self, run: Sequence[bytes]) -> bool:
        """Take a run at once, if nothing in it needs a look of its own or ends a batch; return whether."""
        changes = run if self._open is not None else change_payloads(run)
        size_bytes = sum(map(len, run))
        oids = relation_oids(changes)
        if self._open is not None:
            return self._continue(self._open, changes, oids=oids, size_bytes=size_bytes)
        descriptions = self._descriptions.committed(oids)
        if len(descriptions) < len(oids) or _any_looked_at(descriptions.values()):
            return False
        size_of_all = size_bytes + self._whole.missing_bytes(descriptions)
        if self._whole.would_be_full(self._limits, change_count=len(changes), size_bytes=size_of_all):
            return False
        self._whole.append_run(run, changes=changes, size_bytes=size_bytes, descriptions=descriptions)
        return True

    def _continue(
        self, transaction: OpenTransaction, changes: Sequence[bytes], *, oids: Iterable[int], size_bytes: int
    ) -> bool:
        """Append changes to the open transaction at once, if that does not fill a chunk."""
        buffer, limits = transaction.buffer, self._limits
        is_over = (
            buffer.change_count + len(changes) >= limits.max_rows
            or buffer.size_bytes + size_bytes >= limits.max_bytes
        )
        if is_over or _any_looked_at([self._descriptions.use(transaction, oid) for oid in sorted(oids)]):
            return False
        if not transaction.is_left_out:
            buffer.append_changes(changes, size_bytes=size_bytes)
        return True

    def take(self) -> Batch | None:
        """Return the whole transactions collected so far as a batch, or None."""
        whole = self._whole
        if whole.first is None or whole.last is None:
            return None
        self._whole = WholeTransactions(self._bounds_bytes)
        first, (last, commit) = whole.first, whole.last
        return self._batch(
            Contents(tuple(whole.payloads), whole.change_count),
            first_lsn=first.commit_lsn,
            end_lsn=commit.end_lsn,
            transaction_count=whole.transaction_count,
            xid=last.xid,
            committed_at=last.committed_at,
        )

    def _begin(self, payload: bytes) -> list[Batch]:
        begin = pgoutput.decode(payload)
        assert isinstance(begin, Begin)
        if self.in_transaction:
            self._refuse_nesting(f"transaction {begin.xid} begins")
        self._open = OpenTransaction(begin.xid, begin)
        return []

    def _add_row_change(self, payload: bytes) -> list[Batch]:
        transaction, xid, payload = self._placed(payload)
        oid = int.from_bytes(payload[1:5], "big")
        description = transaction.buffer.described.get(oid) or self._descriptions.use(transaction, oid)
        if description.masks is not None:
            payload = description.masks.applied_to(payload)
        size_bytes = len(payload) if description.measure is None else description.measure(payload)
        return self._append(transaction, payload, xid, size_bytes=size_bytes)

    def _add_truncate(self, payload: bytes) -> list[Batch]:
        transaction, xid, payload = self._placed(payload)
        message = pgoutput.decode(payload)
        assert isinstance(message, Truncate)
        if not message.relation_oids:
            raise ProtocolError("a truncate names no relation")
        for oid in message.relation_oids:
            self._descriptions.use(transaction, oid)
        return self._append(transaction, payload, xid, size_bytes=len(payload))

    def _placed(self, payload: bytes) -> tuple[OpenTransaction, int | None, bytes]:
        """Return the transaction of a payload, its subtransaction, and the payload without that."""
        if self._segment is not None:
            return self._segment, int.from_bytes(payload[1:5], "big"), payload[:1] + payload[5:]
        if self._open is None:
            raise ProtocolError(f"pgoutput message {payload[:1]!r} arrived outside a transaction")
        return self._open, None, payload

    def _append(
        self, transaction: OpenTransaction, payload: bytes, xid: int | None, *, size_bytes: int
    ) -> list[Batch]:
        if transaction.is_left_out:
            return []
        transaction.buffer.append_change(payload, xid, size_bytes=size_bytes)
        return self._cut_if_full(transaction)

    def _describe(self, payload: bytes) -> list[Batch]:
        transaction, _, payload = self._placed(payload)
        if self._read_facts is not None:
            oid = int.from_bytes(payload[1:5], "big")
            in_progress = transaction.begin is None
            facts = facts_to_be_told(oid) if in_progress else self._read_facts(oid, transaction.xid)
            self._descriptions.add_type(facts)
        self._descriptions.add(transaction, payload)
        return self._cut_if_full(transaction)

    def _describe_type(self, payload: bytes) -> list[Batch]:
        _, _, payload = self._placed(payload)
        self._descriptions.add_type(payload)
        return []

    def _note_origin(self, _payload: bytes) -> list[Batch]:
        transaction = self._segment or self._open
        if transaction is not None and self._leaves_out_replicated:
            transaction.is_left_out = True
        return []

    def _ignore(self, _payload: bytes) -> list[Batch]:
        return []

    def _commit(self, payload: bytes) -> list[Batch]:
        commit = pgoutput.decode(payload)
        assert isinstance(commit, Commit)
        transaction, self._open = self._open, None
        if transaction is None or transaction.begin is None:
            raise ProtocolError(f"a commit at {commit.commit_lsn} has no begin")
        return self._finish(transaction, transaction.begin, commit)

    def _start_segment(self, payload: bytes) -> list[Batch]:
        start = pgoutput.decode(payload)
        assert isinstance(start, StreamStart)
        self._refuse_nesting(f"a segment of transaction {start.xid} starts")
        self._segment = self._in_progress.start_segment(start.xid, is_first=start.is_first_segment)
        return []

    def _stop_segment(self, payload: bytes) -> list[Batch]:
        pgoutput.decode(payload)
        if self._segment is None:
            raise ProtocolError("a segment stops that has not started")
        self._segment = None
        self._descriptions.end_segment()
        return []

    def _commit_streamed(self, payload: bytes) -> list[Batch]:
        message = pgoutput.decode(payload)
        assert isinstance(message, StreamCommit)
        self._refuse_nesting(f"transaction {message.xid} commits")
        begin = Begin(message.commit_lsn, message.committed_at, message.xid)
        commit = Commit(message.commit_lsn, message.end_lsn, message.committed_at)
        transaction = self._in_progress.end(message.xid)
        self._tell_facts_anew(transaction)
        return self._finish(transaction, begin, commit)

    def _tell_facts_anew(self, transaction: OpenTransaction) -> None:
        """Tell, now that the catalog shows it, what a transaction that was in progress has done to tables."""
        if self._read_facts is not None and not transaction.is_left_out:
            facts = {oid: self._read_facts(oid, transaction.xid) for oid in transaction.descriptions}
            transaction.correct_facts(facts)

    def _abort_streamed(self, payload: bytes) -> list[Batch]:
        message = pgoutput.decode(payload)
        assert isinstance(message, StreamAbort)
        self._refuse_nesting(f"transaction {message.xid} is rolled back")
        if not self._in_progress.includes(message.xid):
            # PostgreSQL 18 sends nothing of what it knows to be rolled back, but tells the end of its parts.
            return []
        if message.subxid != message.xid:
            transaction = self._in_progress.find(message.xid)
            transaction.buffer.roll_back(message.subxid)
            return self._cut_if_full(transaction)
        transaction = self._in_progress.end(message.xid)
        return [self._chunk(transaction, _NOTHING, ChunkEnd.ROLLBACK)] if transaction.chunk_count else []

    def _refuse_nesting(self, event: str) -> None:
        refuse_nesting(event, self._open, self._segment)

    def _finish(self, transaction: OpenTransaction, begin: Begin, commit: Commit) -> list[Batch]:
        self._expect(commit)
        self._descriptions.commit(transaction)
        if transaction.is_left_out:
            return []
        if transaction.chunk_count:
            whole = self.take()
            last = self._last_chunk(transaction, begin, commit)
            return [last] if whole is None else [whole, last]
        contents = transaction.buffer.contents()
        if contents.change_count:
            self._whole.append(begin, commit, transaction.buffer, contents)
        batch = self.take() if self._whole.is_full(self._limits) else None
        return [] if batch is None else [batch]

    def _expect(self, commit: Commit) -> None:
        """Raise SlotLostError when the stream passes a published transaction that does not come again."""
        awaited = self._awaited
        if awaited is None or commit.end_lsn < awaited.end_lsn:
            return
        if commit.end_lsn > awaited.end_lsn or awaited.committed_at not in (None, commit.committed_at):
            raise SlotLostError(
                f"the transaction that ended at {awaited.end_lsn} and was published before does not come "
                "again: the source was restored from an older copy and has another history"
            )
        self._awaited = None

    def _cut_if_full(self, transaction: OpenTransaction) -> list[Batch]:
        """Publish a chunk when what is not published is enough for one."""
        if transaction.begin is None:
            enough = self._in_progress.hold_enough(self._limits)
            return [self._next_chunk(self._in_progress.largest())] if enough else []
        buffer, limits = transaction.buffer, self._limits
        if buffer.change_count < limits.max_rows and buffer.size_bytes < limits.max_bytes:
            return []
        whole = self.take()
        chunk = self._next_chunk(transaction)
        return [chunk] if whole is None else [whole, chunk]

    def _next_chunk(self, transaction: OpenTransaction) -> Batch:
        chunk = self._chunk(transaction, transaction.buffer.self_contained(transaction.xid), ChunkEnd.OPEN)
        transaction.buffer = TransactionBuffer()
        transaction.chunk_count += 1
        return chunk

    def _last_chunk(self, transaction: OpenTransaction, begin: Begin, commit: Commit) -> Batch:
        transaction.begin = begin
        contents = transaction.buffer.self_contained(transaction.xid)
        return self._chunk(transaction, contents, ChunkEnd.COMMIT, commit=commit)

    def _chunk(
        self,
        transaction: OpenTransaction,
        contents: Contents,
        end: ChunkEnd,
        *,
        commit: Commit | None = None,
    ) -> Batch:
        begin = transaction.begin
        rolled_back = transaction.buffer.rolled_back if transaction.chunk_count else ()
        chunk = Chunk(
            index=transaction.chunk_count,
            end=end,
            subtransactions=contents.subtransactions,
            rolled_back=tuple(sorted(rolled_back)),
        )
        return self._batch(
            contents,
            first_lsn=NO_LSN if begin is None else begin.commit_lsn,
            end_lsn=self._last_end_lsn if commit is None else commit.end_lsn,
            transaction_count=0 if commit is None else 1,
            xid=transaction.xid,
            committed_at=None if begin is None else begin.committed_at,
            chunk=chunk,
        )

    def _batch(
        self,
        contents: Contents,
        *,
        first_lsn: Lsn,
        end_lsn: Lsn,
        transaction_count: int,
        xid: int,
        committed_at: int | None,
        chunk: Chunk | None = None,
    ) -> Batch:
        previous_lsn, self._last_end_lsn = self._last_end_lsn, end_lsn
        return Batch(
            task_name=self._task_name,
            session_number=self._session_number,
            sequence=next(self._sequence),
            previous_lsn=previous_lsn,
            first_lsn=first_lsn,
            end_lsn=end_lsn,
            transaction_count=transaction_count,
            change_count=contents.change_count,
            transaction_id=xid,
            committed_at=committed_at,
            chunk=chunk,
            payloads=contents.payloads,
        )


def _any_looked_at(descriptions: Iterable[Description]) -> bool:
    return any(d.masks is not None or d.measure is not None for d in descriptions)
