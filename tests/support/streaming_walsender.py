"""Write a slot's stream with transactions in progress, as pgoutput does with streaming on.

Transactions in progress come in segments, between each other and between committed ones; their subtransactions
are rolled back, or the whole is.
A relation is described once per transaction in progress, and that counts for all once it has committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from tests.support.pgoutput_encoder import encode
from tests.support.walsender import ACTIONS, Action, Walsender, WrittenChange, WrittenTransaction
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    Message,
    Origin,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
)


@dataclass(frozen=True)
class Step:
    """What comes next in the stream.

    `kind` is plain, segment, savepoint (a subtransaction is rolled back to it), commit or rollback.
    `transaction` names a transaction in progress, `subtransaction` the one that acts (0: the top level).
    """

    kind: str
    actions: tuple[Action, ...] = ()
    transaction: int = 0
    subtransaction: int = 0


@dataclass
class Recording:
    """Payloads as they stand in the stream, and what has been committed, in order."""

    payloads: list[bytes] = field(default_factory=list)
    committed: list[WrittenTransaction] = field(default_factory=list)


@dataclass
class _InProgress:
    xid: int
    changes: list[tuple[int, WrittenChange]] = field(default_factory=list)
    subxids: dict[int, int] = field(default_factory=dict)
    has_started: bool = False


class StreamingWalsender(Walsender):
    """Write transactions whole, or in segments while they are in progress."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = Recording()
        self._in_progress: dict[int, _InProgress] = {}
        self._described_in: defaultdict[int, set[int]] = defaultdict(set)
        self._segment_of: tuple[int, int] | None = None  # xid and subxid

    def write_steps(self, steps: Iterable[Step]) -> Recording:
        """Write all steps and return the recording."""
        for step in steps:
            getattr(self, f"_write_{step.kind}")(step)
        return self.recording

    def _write_plain(self, step: Step) -> None:
        written = self.write(step.actions)
        self.recording.payloads += written.payloads
        self.recording.committed.append(written)

    def _write_segment(self, step: Step) -> None:
        one = self._in_progress.setdefault(step.transaction, _InProgress(0))
        one.xid = one.xid or self._new_xid()
        xid = one.xid
        if step.subtransaction:
            xid = one.subxids.get(step.subtransaction) or self._new_xid()
            one.subxids[step.subtransaction] = xid
        segment = WrittenTransaction(Begin(Lsn(0), 0, one.xid), Commit(Lsn(0), Lsn(0), 0))
        self._segment_of = (one.xid, xid)
        for action in step.actions:
            self._act(action, segment)
        self._segment_of = None
        start = StreamStart(one.xid, is_first_segment=not one.has_started)
        one.has_started = True
        self.recording.payloads += [encode(start), *segment.payloads, encode(StreamStop())]
        one.changes += [(xid, change) for change in segment.changes]

    def _write_savepoint(self, step: Step) -> None:
        one = self._in_progress.get(step.transaction)
        xid = None if one is None else one.subxids.pop(step.subtransaction, None)
        if one is not None and xid is not None:
            one.changes = [(by, change) for by, change in one.changes if by != xid]
            self.recording.payloads.append(encode(StreamAbort(one.xid, xid, None, None)))

    def _write_commit(self, step: Step) -> None:
        one = self._in_progress.pop(step.transaction, None)
        if one is None:
            return
        written = self._place(one.xid)
        written.changes = [change for _, change in one.changes]
        commit = written.commit
        message = StreamCommit(one.xid, commit.commit_lsn, commit.end_lsn, commit.committed_at)
        self.recording.payloads.append(encode(message))
        self.recording.committed.append(written)
        self._described |= {oid for oid, xids in self._described_in.items() if one.xid in xids}

    def _write_rollback(self, step: Step) -> None:
        one = self._in_progress.pop(step.transaction, None)
        if one is not None:
            self.recording.payloads.append(encode(StreamAbort(one.xid, one.xid, None, None)))

    def _send(self, message: Message, written: WrittenTransaction) -> None:
        if self._segment_of is not None and not isinstance(message, Origin):
            message = replace(message, xid=self._segment_of[1])  # type: ignore[call-arg]
        super()._send(message, written)

    def _is_described(self, oid: int) -> bool:
        if self._segment_of is None:
            return super()._is_described(oid)
        return self._segment_of[0] in self._described_in[oid]

    def _note_described(self, oid: int) -> None:
        if self._segment_of is None:
            super()._note_described(oid)
        else:
            self._described_in[oid].add(self._segment_of[0])

    def _invalidate(self, oid: int) -> None:
        super()._invalidate(oid)
        self._described_in[oid].clear()


def write_steps(steps: Iterable[Step]) -> Recording:
    """Return what a walsender sends for the steps."""
    return StreamingWalsender().write_steps(steps)


_SEVERAL = st.lists(ACTIONS, max_size=6).map(tuple)
_WHICH = {"transaction": st.integers(1, 3), "subtransaction": st.integers(0, 3)}
STEPS = st.one_of(
    st.builds(Step, kind=st.just("plain"), actions=_SEVERAL),
    st.builds(Step, kind=st.just("segment"), actions=_SEVERAL, **_WHICH),
    st.builds(Step, kind=st.just("segment"), actions=_SEVERAL, **_WHICH),
    st.builds(Step, kind=st.sampled_from(["savepoint", "commit", "rollback"]), **_WHICH),
)
RECORDINGS = st.lists(STEPS, max_size=16).map(write_steps)
