"""Strategies that generate pgoutput messages."""

from __future__ import annotations

from hypothesis import strategies as st

from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BeginPrepare,
    BinaryValue,
    Commit,
    CommitPrepared,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldTuple,
    Origin,
    Prepare,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)

NUMBERS_32 = st.integers(0, 2**32 - 1)
LSNS = st.builds(Lsn, st.integers(0, 2**64 - 1))
TIMESTAMPS = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
VALUES = st.none() | st.just(UNCHANGED) | st.binary(max_size=12) | st.binary(max_size=12).map(BinaryValue)
TUPLES = st.lists(VALUES, max_size=6).map(tuple)
OLD_TUPLES = st.builds(OldTuple, is_key_only=st.booleans(), values=TUPLES)

_COLUMNS = st.builds(
    RelationColumn,
    name=NAMES,
    type_oid=NUMBERS_32,
    type_modifier=st.integers(-(2**31), 2**31 - 1),
    is_key=st.booleans(),
)
_PREPARED = {
    "prepare_lsn": LSNS,
    "end_lsn": LSNS,
    "prepared_at": TIMESTAMPS,
    "xid": NUMBERS_32,
    "gid": NAMES,
}

BEGINS = st.builds(Begin, commit_lsn=LSNS, committed_at=TIMESTAMPS, xid=NUMBERS_32)
COMMITS = st.builds(Commit, commit_lsn=LSNS, end_lsn=LSNS, committed_at=TIMESTAMPS)

PLAIN_MESSAGES: st.SearchStrategy[Message] = st.one_of(
    BEGINS,
    COMMITS,
    st.builds(Origin, commit_lsn=LSNS, name=NAMES),
    st.builds(StreamStart, xid=NUMBERS_32, is_first_segment=st.booleans()),
    st.just(StreamStop()),
    st.builds(StreamCommit, xid=NUMBERS_32, commit_lsn=LSNS, end_lsn=LSNS, committed_at=TIMESTAMPS),
    st.builds(StreamAbort, xid=NUMBERS_32, subxid=NUMBERS_32, abort_lsn=st.none(), aborted_at=st.none()),
    st.builds(StreamAbort, xid=NUMBERS_32, subxid=NUMBERS_32, abort_lsn=LSNS, aborted_at=TIMESTAMPS),
    st.builds(BeginPrepare, **_PREPARED),
    st.builds(Prepare, **_PREPARED),
    st.builds(StreamPrepare, **_PREPARED),
    st.builds(
        CommitPrepared,
        commit_lsn=LSNS,
        end_lsn=LSNS,
        committed_at=TIMESTAMPS,
        xid=NUMBERS_32,
        gid=NAMES,
    ),
    st.builds(
        RollbackPrepared,
        prepare_end_lsn=LSNS,
        rollback_end_lsn=LSNS,
        prepared_at=TIMESTAMPS,
        rolled_back_at=TIMESTAMPS,
        xid=NUMBERS_32,
        gid=NAMES,
    ),
)


def messages_with_xid(xids: st.SearchStrategy[int | None]) -> st.SearchStrategy[Message]:
    """Generate the messages that carry an xid inside a streamed block, and none outside."""
    oids = NUMBERS_32
    return st.one_of(
        st.builds(
            Relation,
            oid=oids,
            schema_name=NAMES,
            table_name=NAMES,
            replica_identity=st.sampled_from(ReplicaIdentity),
            columns=st.lists(_COLUMNS, max_size=4).map(tuple),
            xid=xids,
        ),
        st.builds(Type, oid=oids, schema_name=NAMES, type_name=NAMES, xid=xids),
        st.builds(Insert, relation_oid=oids, new=TUPLES, xid=xids),
        st.builds(Update, relation_oid=oids, old=st.none() | OLD_TUPLES, new=TUPLES, xid=xids),
        st.builds(Delete, relation_oid=oids, old=OLD_TUPLES, xid=xids),
        st.builds(
            Truncate,
            relation_oids=st.lists(oids, max_size=4).map(tuple),
            cascade=st.booleans(),
            restart_identity=st.booleans(),
            xid=xids,
        ),
        st.builds(
            LogicalMessage,
            is_transactional=st.booleans(),
            lsn=LSNS,
            prefix=NAMES,
            content=st.binary(max_size=12),
            xid=xids,
        ),
    )


MESSAGES = PLAIN_MESSAGES | messages_with_xid(st.none())
STREAMED_MESSAGES = PLAIN_MESSAGES | messages_with_xid(NUMBERS_32)
