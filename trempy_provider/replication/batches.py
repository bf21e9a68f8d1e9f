"""Collect the payloads of a slot's stream into batches.

A batch ends at a commit, except that a transaction larger than the limits is cut into chunks, each a
batch of its own; so a batch holds whole transactions or one chunk of one transaction.
Memory is bounded by the limits, whatever the size of a transaction.

pgoutput describes a relation once per stream, before its first use.
Here the description is repeated in every batch that uses the relation, so that a batch can be read alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trempy_provider.errors import ProtocolError
from trempy_provider.replication import pgoutput
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import Begin, Commit, Truncate

_BEGIN, _COMMIT, _RELATION, _TYPE, _TRUNCATE = b"B", b"C", b"R", b"Y", b"T"
_ROW_CHANGES = frozenset({b"I", b"U", b"D"})
_IGNORED = frozenset({b"O", b"M"})
_EMPTY_TRANSACTION = 2  # Begin and Commit only


@dataclass(frozen=True, slots=True)
class Chunk:
    """The place of a batch within a large transaction; `index` counts from 0."""

    index: int
    is_last: bool
    committed_at: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Payloads that are published, delivered and applied together.

    `first_lsn` is the commit LSN of the first transaction, `end_lsn` the end LSN of the last one (of a
    chunk that is not the last: that of the batch before), `previous_lsn` the end LSN of the batch before.
    `transaction_id` is that of the last transaction.
    """

    task_name: str
    session_id: str
    sequence: int
    previous_lsn: Lsn
    first_lsn: Lsn
    end_lsn: Lsn
    transaction_count: int
    change_count: int
    transaction_id: int
    chunk: Chunk | None
    payloads: tuple[bytes, ...]

    @property
    def message_id(self) -> str:
        """The message's name, unique within the task."""
        return f"{self.session_id}-{self.sequence}"

    @property
    def is_complete(self) -> bool:
        """Tell whether the batch ends at a commit."""
        return self.chunk is None or self.chunk.is_last


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full."""

    max_rows: int
    max_bytes: int


@dataclass(slots=True)
class _Buffer:
    """Payloads in stream order, with the relations that must be described before them."""

    prelude: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    described: set[int] = field(default_factory=set)
    payloads: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    change_count: int = 0

    def append(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self.size_bytes += len(payload)

    def extend(self, other: _Buffer) -> None:
        for oid, payloads in other.prelude.items():
            if oid not in self.described:
                self.prelude[oid] = payloads
        self.described |= other.described
        self.payloads += other.payloads
        self.size_bytes += other.size_bytes
        self.change_count += other.change_count

    def all_payloads(self) -> tuple[bytes, ...]:
        described = [payload for payloads in self.prelude.values() for payload in payloads]
        return (*described, *self.payloads)


class BatchBuilder:
    """Turn payloads into batches; one builder per stream."""

    def __init__(self, *, task_name: str, session_id: str, previous_lsn: Lsn, limits: BatchLimits) -> None:
        self._task_name = task_name
        self._session_id = session_id
        self._limits = limits
        self._sequence = 0
        self._last_end_lsn = previous_lsn
        self._shapes: dict[int, tuple[bytes, ...]] = {}
        self._types: list[bytes] = []
        self._whole = _Buffer()
        self._whole_first_lsn = NO_LSN
        self._whole_count = 0
        self._whole_last: tuple[Begin, Commit] | None = None
        self._open = _Buffer()
        self._begin: Begin | None = None
        self._chunk_index = 0

    @property
    def in_transaction(self) -> bool:
        """Tell whether the stream is between a Begin and its Commit."""
        return self._begin is not None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is waiting to be published."""
        return self._whole_count == 0 and not self.in_transaction

    @property
    def has_whole_transactions(self) -> bool:
        """Tell whether `take` has something to return."""
        return self._whole_count > 0

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
            self._add_row_change(payload)
        elif marker == _BEGIN:
            self._start(payload)
        elif marker == _COMMIT:
            return self._finish(payload)
        elif marker == _TRUNCATE:
            self._add_truncate(payload)
        else:
            self._describe(marker, payload)
        return self._cut() if self._is_full(self._open) else []

    def take(self) -> Batch | None:
        """Return the whole transactions collected so far as a batch, or None."""
        if self._whole_last is None:
            return None
        begin, commit = self._whole_last
        batch = self._batch(
            self._whole,
            first_lsn=self._whole_first_lsn,
            end_lsn=commit.end_lsn,
            transaction_count=self._whole_count,
            xid=begin.xid,
            chunk=None,
        )
        self._whole, self._whole_count, self._whole_last = _Buffer(), 0, None
        return batch

    def _start(self, payload: bytes) -> None:
        message = pgoutput.decode(payload)
        assert isinstance(message, Begin)
        if self._begin is not None:
            raise ProtocolError(f"transaction {message.xid} begins inside transaction {self._begin.xid}")
        self._begin = message
        self._open = _Buffer()
        self._open.append(payload)
        self._chunk_index = 0

    def _add_row_change(self, payload: bytes) -> None:
        self._use(int.from_bytes(payload[1:5], "big"))
        self._open.append(payload)
        self._open.change_count += 1

    def _add_truncate(self, payload: bytes) -> None:
        message = pgoutput.decode(payload)
        assert isinstance(message, Truncate)
        if not message.relation_oids:
            raise ProtocolError("a truncate names no relation")
        for oid in message.relation_oids:
            self._use(oid)
        self._open.append(payload)
        self._open.change_count += 1

    def _use(self, oid: int) -> None:
        if self._begin is None:
            raise ProtocolError("a change arrived outside a transaction")
        if oid in self._open.described:
            return
        if oid not in self._shapes:
            raise ProtocolError(f"a change of relation {oid} arrived before its description")
        self._open.described.add(oid)
        self._open.prelude[oid] = self._shapes[oid]

    def _describe(self, marker: bytes, payload: bytes) -> None:
        if marker in _IGNORED:
            return
        if marker == _TYPE:
            self._types.append(payload)
        elif marker == _RELATION:
            self._describe_relation(payload)
        else:
            raise ProtocolError(f"unexpected pgoutput message {marker!r} in a stream of protocol version 1")

    def _describe_relation(self, payload: bytes) -> None:
        if self._begin is None:
            raise ProtocolError("the description of a relation arrived outside a transaction")
        oid = int.from_bytes(payload[1:5], "big")
        self._shapes[oid] = (*self._types, payload)
        for described in self._shapes[oid]:
            self._open.append(described)
        self._open.described.add(oid)
        self._types = []

    def _finish(self, payload: bytes) -> list[Batch]:
        commit = pgoutput.decode(payload)
        assert isinstance(commit, Commit)
        begin, self._begin = self._begin, None
        if begin is None:
            raise ProtocolError(f"a commit at {commit.commit_lsn} has no begin")
        self._open.append(payload)
        if self._chunk_index > 0:
            return [self._last_chunk(begin, commit)]
        if len(self._open.payloads) == _EMPTY_TRANSACTION:
            self._open = _Buffer()
            return []
        return self._add_whole(begin, commit)

    def _add_whole(self, begin: Begin, commit: Commit) -> list[Batch]:
        if self._whole_count == 0:
            self._whole_first_lsn = begin.commit_lsn
        self._whole.extend(self._open)
        self._whole_count += 1
        self._whole_last = (begin, commit)
        self._open = _Buffer()
        batch = self.take() if self._is_full(self._whole) else None
        return [] if batch is None else [batch]

    def _cut(self) -> list[Batch]:
        """Publish what is complete, then the open transaction's payloads so far as a chunk."""
        whole = self.take()
        assert self._begin is not None
        chunk = self._chunk_batch(self._begin, is_last=False, end_lsn=self._last_end_lsn)
        self._chunk_index += 1
        return [chunk] if whole is None else [whole, chunk]

    def _last_chunk(self, begin: Begin, commit: Commit) -> Batch:
        return self._chunk_batch(begin, is_last=True, end_lsn=commit.end_lsn)

    def _chunk_batch(self, begin: Begin, *, is_last: bool, end_lsn: Lsn) -> Batch:
        chunk = Chunk(index=self._chunk_index, is_last=is_last, committed_at=begin.committed_at)
        batch = self._batch(
            self._open,
            first_lsn=begin.commit_lsn,
            end_lsn=end_lsn,
            transaction_count=1 if is_last else 0,
            xid=begin.xid,
            chunk=chunk,
        )
        self._open = _Buffer()
        return batch

    def _batch(
        self,
        buffer: _Buffer,
        *,
        first_lsn: Lsn,
        end_lsn: Lsn,
        transaction_count: int,
        xid: int,
        chunk: Chunk | None,
    ) -> Batch:
        batch = Batch(
            task_name=self._task_name,
            session_id=self._session_id,
            sequence=self._sequence,
            previous_lsn=self._last_end_lsn,
            first_lsn=first_lsn,
            end_lsn=end_lsn,
            transaction_count=transaction_count,
            change_count=buffer.change_count,
            transaction_id=xid,
            chunk=chunk,
            payloads=buffer.all_payloads(),
        )
        self._sequence += 1
        self._last_end_lsn = end_lsn
        return batch

    def _is_full(self, buffer: _Buffer) -> bool:
        return buffer.change_count >= self._limits.max_rows or buffer.size_bytes >= self._limits.max_bytes
