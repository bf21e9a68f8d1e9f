"""Payloads on their way into a batch, with the descriptions of the relations they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trempy_provider.replication.batches import BatchLimits, is_description
from trempy_provider.replication.json_sizes import Measure
from trempy_provider.replication.masking import ColumnMasks
from trempy_provider.replication.messages import Begin, Commit
from trempy_provider.replication.pgoutput import decode, encode_begin, encode_commit
from trempy_provider.replication.table_facts import with_corrected_facts

_REMEMBERED_XID_BYTES = 64
BOUNDS_BYTES = 47  # of a Begin and a Commit


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """The payloads that describe a relation (types first), and where in the stream they came.

    `masks` is what masks its changes; None: nothing is masked.
    `measure` tells how many bytes a change takes in a message; None: as many as it has.
    """

    payloads: tuple[bytes, ...]
    arrival: int
    masks: ColumnMasks | None = None
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a batch: payloads and, by position, the subtransactions that made them."""

    payloads: tuple[bytes, ...]
    change_count: int
    subtransactions: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class TransactionBuffer:
    """Payloads of one transaction in stream order; `prelude` must be described before them."""

    prelude: dict[int, Description] = field(default_factory=dict)
    described: dict[int, Description] = field(default_factory=dict)
    payloads: list[bytes] = field(default_factory=list)
    change_count: int = 0
    size_bytes: int = 0
    rolled_back: set[int] = field(default_factory=set)
    _runs: list[tuple[int, int]] = field(default_factory=list)
    _xid: int | None = None

    def describe(self, oid: int, description: Description) -> None:
        """Append the description of a relation."""
        self.described[oid] = description
        self.payloads += description.payloads
        self.size_bytes += sum(map(len, description.payloads))

    def require(self, oid: int, description: Description) -> None:
        """Note that the payloads use a relation described before them."""
        self.prelude[oid] = self.described[oid] = description

    def append_change(self, payload: bytes, xid: int | None, *, size_bytes: int) -> None:
        """Append a change, made by subtransaction `xid` of a transaction in progress."""
        if xid != self._xid:
            assert xid is not None
            self._xid = xid
            self._runs.append((len(self.payloads), xid))
            self.size_bytes += _REMEMBERED_XID_BYTES
        self.payloads.append(payload)
        self.size_bytes += size_bytes
        self.change_count += 1

    def append_changes(self, payloads: Sequence[bytes], *, size_bytes: int) -> None:
        """Append changes of a committed transaction."""
        self.payloads += payloads
        self.size_bytes += size_bytes
        self.change_count += len(payloads)

    def roll_back(self, xid: int) -> None:
        """Note that a subtransaction was rolled back."""
        self.rolled_back.add(xid)
        self.size_bytes += _REMEMBERED_XID_BYTES

    def correct_facts(self, facts: Mapping[int, bytes]) -> None:
        """Replace the facts of tables."""
        self.payloads = list(with_corrected_facts(self.payloads, facts))
        for known in (self.prelude, self.described):
            for oid, description in known.items():
                payloads = with_corrected_facts(description.payloads, facts)
                known[oid] = replace(description, payloads=payloads)

    def contents(self) -> Contents:
        """Return the payloads without the changes of subtransactions that were rolled back."""
        if not self.rolled_back or self.rolled_back.isdisjoint(xid for _, xid in self._runs):
            return Contents(tuple(self.payloads), self.change_count, tuple(self._runs))
        payloads, runs, change_count = self.payloads[: self._runs[0][0]], [], 0
        ends = [start for start, _ in self._runs[1:]] + [len(self.payloads)]
        for (start, xid), end in zip(self._runs, ends, strict=True):
            run = self.payloads[start:end]
            is_kept = xid not in self.rolled_back
            if is_kept:
                runs.append((len(payloads), xid))
                change_count += sum(not is_description(payload) for payload in run)
            payloads += run if is_kept else filter(is_description, run)
        return Contents(tuple(payloads), change_count, tuple(runs))

    def self_contained(self, top_xid: int) -> Contents:
        """Return the contents with the prelude in front; subtransactions only if there are any."""
        contents = self.contents()
        prelude = [payload for known in self.prelude.values() for payload in known.payloads]
        runs = contents.subtransactions
        if all(xid == top_xid for _, xid in runs):
            runs = ()
        return Contents(
            payloads=(*prelude, *contents.payloads),
            change_count=contents.change_count,
            subtransactions=tuple([(start + len(prelude), xid) for start, xid in runs]),
        )


@dataclass(slots=True)
class WholeTransactions:
    """Committed transactions that will be published in one batch; `first` begins it, `last` is its last."""

    bounds_bytes: int = BOUNDS_BYTES
    payloads: list[bytes] = field(default_factory=list)
    change_count: int = 0
    size_bytes: int = 0
    transaction_count: int = 0
    first: Begin | None = None
    last: tuple[Begin, Commit] | None = None
    _in_force: dict[int, tuple[bytes, ...]] = field(default_factory=dict)

    def append(self, begin: Begin, commit: Commit, buffer: TransactionBuffer, contents: Contents) -> None:
        """Append a transaction."""
        self._require(buffer.prelude)
        for oid, description in buffer.described.items():
            self._in_force[oid] = description.payloads
        self.payloads.append(encode_begin(begin))
        self.payloads += contents.payloads
        self.payloads.append(encode_commit(commit))
        self.size_bytes += buffer.size_bytes + self.bounds_bytes
        self.change_count += contents.change_count
        self._note(1, begin, (begin, commit))

    def append_run(
        self,
        run: Sequence[bytes],
        *,
        changes: Sequence[bytes],
        size_bytes: int,
        descriptions: Mapping[int, Description],
    ) -> None:
        """Append whole transactions of row changes as they came."""
        self._require(descriptions)
        self.payloads += run
        self.size_bytes += size_bytes
        self.change_count += len(changes)
        begin, commit = decode(run[0]), decode(run[-1])
        last = decode(next(payload for payload in reversed(run) if payload[:1] == b"B"))
        assert isinstance(begin, Begin) and isinstance(last, Begin) and isinstance(commit, Commit)
        self._note((len(run) - len(changes)) // 2, begin, (last, commit))

    def is_full(self, limits: BatchLimits) -> bool:
        """Tell whether the transactions are enough for a batch."""
        return self.would_be_full(limits, change_count=0, size_bytes=0)

    def would_be_full(self, limits: BatchLimits, *, change_count: int, size_bytes: int) -> bool:
        """Tell whether so much more would be enough for a batch."""
        return (
            self.change_count + change_count >= limits.max_rows
            or self.size_bytes + size_bytes >= limits.max_bytes
        )

    def missing_bytes(self, descriptions: Mapping[int, Description]) -> int:
        """Return the size of the descriptions that are not in force."""
        return sum(sum(map(len, payloads)) for payloads in self._missing(descriptions).values())

    def _require(self, descriptions: Mapping[int, Description]) -> None:
        """Describe relations again where another description was in force."""
        self.size_bytes += self.missing_bytes(descriptions)
        missing = self._missing(descriptions)
        for payloads in missing.values():
            self.payloads += payloads
        self._in_force |= missing

    def _missing(self, descriptions: Mapping[int, Description]) -> dict[int, tuple[bytes, ...]]:
        return {
            oid: description.payloads
            for oid, description in descriptions.items()
            if self._in_force.get(oid) != description.payloads
        }

    def _note(self, transaction_count: int, begin: Begin, last: tuple[Begin, Commit]) -> None:
        self.transaction_count += transaction_count
        self.first = self.first or begin
        self.last = last
