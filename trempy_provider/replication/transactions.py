"""Take batches apart into transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trempy_provider.errors import ProtocolError
from trempy_provider.replication import pgoutput
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.changes import Change, Shape, Transaction, datetime_of, microseconds_of
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
)

_RowChange = Insert | Update | Delete


def read_transactions(batch: Batch) -> Iterator[Transaction]:
    """Yield the transactions of a batch in commit order; a chunk yields its part of one transaction.

    Raise ProtocolError when the payloads do not form transactions.
    """
    reader = _Reader(batch)
    for payload in batch.payloads:
        transaction = reader.add(payload)
        if transaction is not None:
            yield transaction
    rest = reader.rest()
    if rest is not None:
        yield rest


class _Reader:
    """Collect the changes between a Begin and its Commit."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._shapes: dict[int, Shape] = {}
        self._types: list[bytes] = []
        self._changes: list[Change] = []
        self._begin = chunk_begin(batch)

    def add(self, payload: bytes) -> Transaction | None:
        message = pgoutput.decode(payload)
        if isinstance(message, Insert | Update | Delete):
            self._append(message, (self._shape(message.relation_oid),), payload)
            return None
        if isinstance(message, Commit):
            return self._commit(message)
        self._note(message, payload)
        return None

    def rest(self) -> Transaction | None:
        """Return the changes of a chunk."""
        if self._begin is None:
            return None
        if self._batch.chunk is None:
            raise ProtocolError(f"batch {self._batch.message_id} ends inside transaction {self._begin.xid}")
        end_lsn = self._batch.end_lsn if self._batch.is_complete else None
        return self._transaction(self._begin, end_lsn=end_lsn)

    def _note(self, message: Message, payload: bytes) -> None:
        match message:
            case Begin():
                self._start(message)
            case Relation():
                self._shapes[message.oid] = Shape(relation=message, payloads=(*self._types, payload))
                self._types = []
            case Type() | LogicalMessage():
                self._types.append(payload)
            case Truncate():
                shapes = tuple([self._shape(oid) for oid in message.relation_oids])
                self._append(message, shapes, payload)
            case Origin():
                pass
            case _:
                raise ProtocolError(f"unexpected {type(message).__name__} in batch {self._batch.message_id}")

    def _start(self, begin: Begin) -> None:
        if self._begin is not None:
            raise ProtocolError(
                f"transaction {begin.xid} begins inside transaction {self._begin.xid} "
                f"in batch {self._batch.message_id}"
            )
        self._begin = begin

    def _append(self, message: _RowChange | Truncate, shapes: tuple[Shape, ...], payload: bytes) -> None:
        if self._begin is None:
            raise ProtocolError(f"a change stands outside a transaction in batch {self._batch.message_id}")
        self._changes.append(
            Change(
                message=message, shapes=shapes, payload=payload, begin=self._begin, index=len(self._changes)
            )
        )

    def _shape(self, oid: int) -> Shape:
        try:
            return self._shapes[oid]
        except KeyError as error:
            raise ProtocolError(
                f"relation {oid} is not described in batch {self._batch.message_id}"
            ) from error

    def _commit(self, commit: Commit) -> Transaction:
        begin, self._begin = self._begin, None
        if begin is None or self._batch.chunk is not None:
            raise ProtocolError(f"a commit without a begin in batch {self._batch.message_id}")
        return self._transaction(begin, end_lsn=commit.end_lsn)

    def _transaction(self, begin: Begin, *, end_lsn: Lsn | None) -> Transaction:
        changes, self._changes = tuple(self._changes), []
        return Transaction(
            xid=begin.xid,
            commit_lsn=begin.commit_lsn,
            end_lsn=end_lsn,
            committed_at=datetime_of(begin.committed_at),
            changes=changes,
        )


def chunk_begin(batch: Batch) -> Begin | None:
    """Return what the header of a chunk says in place of a Begin."""
    if batch.chunk is None:
        return None
    if batch.committed_at is None:
        raise ProtocolError(f"batch {batch.message_id} is of a transaction that has not committed")
    return Begin(commit_lsn=batch.first_lsn, committed_at=batch.committed_at, xid=batch.transaction_id)


def batch_of_changes(task_name: str, changes: Sequence[Change]) -> Batch:
    """Return a batch of its own for changes of one transaction, self-contained like any other."""
    begin = changes[0].begin
    commit = Commit(commit_lsn=begin.commit_lsn, end_lsn=begin.commit_lsn, committed_at=begin.committed_at)
    return Batch(
        task_name=task_name,
        session_number=0,
        sequence=0,
        previous_lsn=begin.commit_lsn,
        first_lsn=begin.commit_lsn,
        end_lsn=begin.commit_lsn,
        transaction_count=1,
        change_count=len(changes),
        transaction_id=begin.xid,
        committed_at=begin.committed_at,
        chunk=None,
        payloads=(
            pgoutput.encode_begin(begin),
            *_described(changes),
            pgoutput.encode_commit(commit),
        ),
    )


def batch_of_transaction(batch: Batch, transaction: Transaction) -> Batch:
    """Return one transaction of a batch as a batch of its own, self-contained like any other."""
    assert transaction.end_lsn is not None
    begin = Begin(
        commit_lsn=transaction.commit_lsn,
        committed_at=microseconds_of(transaction.committed_at),
        xid=transaction.xid,
    )
    commit = Commit(commit_lsn=begin.commit_lsn, end_lsn=transaction.end_lsn, committed_at=begin.committed_at)
    return replace(
        batch,
        first_lsn=transaction.commit_lsn,
        end_lsn=transaction.end_lsn,
        transaction_count=1,
        change_count=len(transaction.changes),
        transaction_id=transaction.xid,
        committed_at=begin.committed_at,
        payloads=(
            pgoutput.encode_begin(begin),
            *_described(transaction.changes),
            pgoutput.encode_commit(commit),
        ),
    )


def _described(changes: Sequence[Change]) -> Iterator[bytes]:
    """Yield the payloads of changes, each after the description of its relations as they are then."""
    described: dict[int, tuple[bytes, ...]] = {}
    for change in changes:
        for shape in change.shapes:
            if described.get(shape.relation.oid) != shape.payloads:
                described[shape.relation.oid] = shape.payloads
                yield from shape.payloads
        yield change.payload
