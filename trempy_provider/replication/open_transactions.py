"""Transactions while their payloads are being read from the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from trempy_provider.errors import ProtocolError
from trempy_provider.replication import pgoutput
from trempy_provider.replication.batches import BatchLimits
from trempy_provider.replication.json_sizes import MeasureOf
from trempy_provider.replication.masking import MasksOf, masked_relation, no_masks
from trempy_provider.replication.messages import Begin, Relation
from trempy_provider.replication.payload_buffers import Description, TransactionBuffer
from trempy_provider.replication.table_facts import with_corrected_facts

_NO_DESCRIPTIONS: Mapping[int, Description] = {}


@dataclass(slots=True)
class OpenTransaction:
    """A transaction being read; `begin` is None while it is in progress on the source."""

    xid: int
    begin: Begin | None
    descriptions: dict[int, Description] = field(default_factory=dict)
    buffer: TransactionBuffer = field(default_factory=TransactionBuffer)
    chunk_count: int = 0
    is_left_out: bool = False

    def correct_facts(self, facts: Mapping[int, bytes]) -> None:
        """Replace the facts of tables; those that chunks have brought away already are told once more."""
        for oid, description in self.descriptions.items():
            payloads = with_corrected_facts(description.payloads, facts)
            self.descriptions[oid] = replace(description, payloads=payloads)
        self.buffer.correct_facts(facts)
        if self.chunk_count:
            self.buffer.payloads += facts.values()


class Descriptions:
    """The descriptions of relations, as they hold in the stream.

    One that came in a transaction in progress is that transaction's own until it commits.
    """

    def __init__(self, masks_of: MasksOf = no_masks, measure_of: MeasureOf | None = None) -> None:
        self._masks_of = masks_of
        self._measure_of = measure_of
        self._committed: dict[int, Description] = {}
        self._types: list[bytes] = []
        self._arrivals = count()

    def add_type(self, payload: bytes) -> None:
        """Take the description of a type, which belongs to the relation that follows."""
        self._types.append(payload)

    def add(self, transaction: OpenTransaction, payload: bytes) -> None:
        """Take the description of a relation in a transaction."""
        relation = pgoutput.decode(payload)
        assert isinstance(relation, Relation)
        oid = relation.oid
        payload, masks = masked_relation(payload, relation, self._masks_of(relation))
        measure = None if self._measure_of is None else self._measure_of(relation)
        description = Description((*self._types, payload), next(self._arrivals), masks, measure)
        self._types = []
        transaction.descriptions[oid] = description
        if not transaction.is_left_out:
            transaction.buffer.describe(oid, description)

    def use(self, transaction: OpenTransaction, oid: int) -> Description:
        """Return a relation's description, known to the transaction's buffer from here on.

        Raise ProtocolError if nobody knows it.
        """
        if oid in transaction.buffer.described:
            return transaction.buffer.described[oid]
        committed = _NO_DESCRIPTIONS if transaction.begin is None else self._committed
        description = transaction.descriptions.get(oid) or committed.get(oid)
        if description is None:
            raise ProtocolError(f"a change of relation {oid} arrived before its description")
        transaction.buffer.require(oid, description)
        return description

    def committed(self, oids: Iterable[int]) -> dict[int, Description]:
        """Return the descriptions that hold outside transactions, of those relations that have one."""
        return {oid: self._committed[oid] for oid in sorted(oids) if oid in self._committed}

    def commit(self, transaction: OpenTransaction) -> None:
        """Let the transaction's descriptions hold from now on, unless later ones do already."""
        for oid, description in transaction.descriptions.items():
            known = self._committed.get(oid)
            if known is None or known.arrival < description.arrival:
                self._committed[oid] = description

    def end_segment(self) -> None:
        """Forget types without a relation."""
        self._types = []


class TransactionsInProgress:
    """The transactions that come in segments, by xid."""

    def __init__(self) -> None:
        self._by_xid: dict[int, OpenTransaction] = {}

    def start_segment(self, xid: int, *, is_first: bool) -> OpenTransaction:
        """Return the transaction that a segment belongs to."""
        if is_first:
            if xid in self._by_xid:
                raise ProtocolError(f"transaction {xid} in progress has two first segments")
            self._by_xid[xid] = OpenTransaction(xid, None)
        return self.find(xid)

    def includes(self, xid: int) -> bool:
        """Tell whether a transaction has had a segment and has not ended."""
        return xid in self._by_xid

    def find(self, xid: int) -> OpenTransaction:
        """Return a transaction; raise ProtocolError when it has no segment."""
        try:
            return self._by_xid[xid]
        except KeyError as error:
            raise ProtocolError(f"transaction {xid} in progress has no first segment") from error

    def end(self, xid: int) -> OpenTransaction:
        """Return a transaction that has ended, and forget it."""
        transaction = self.find(xid)
        del self._by_xid[xid]
        return transaction

    def hold_enough(self, limits: BatchLimits) -> bool:
        """Tell whether all of them together hold as much as one batch may."""
        return (
            sum(buffer.change_count for buffer in self._buffers()) >= limits.max_rows
            or sum(buffer.size_bytes for buffer in self._buffers()) >= limits.max_bytes
        )

    def largest(self) -> OpenTransaction:
        """Return the one that holds the most bytes."""
        return max(self._by_xid.values(), key=lambda transaction: transaction.buffer.size_bytes)

    def _buffers(self) -> Iterator[TransactionBuffer]:
        return (transaction.buffer for transaction in self._by_xid.values())


def refuse_nesting(event: str, *open_transactions: OpenTransaction | None) -> None:
    """Raise ProtocolError when something begins or ends inside a transaction or segment."""
    for transaction in _present(open_transactions):
        raise ProtocolError(f"{event} inside transaction {transaction.xid}")


def _present(transactions: Iterable[OpenTransaction | None]) -> Iterator[OpenTransaction]:
    return (transaction for transaction in transactions if transaction is not None)
