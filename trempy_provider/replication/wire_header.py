"""What every message says of its batch, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from trempy_provider.errors import ProtocolError, WireFormatError
from trempy_provider.replication.batches import Batch, Chunk, ChunkEnd
from trempy_provider.replication.lsn import Lsn

_COUNT_MAX = 2**63 - 1
_XID_MAX = 2**32 - 1
_CHUNK_INDEX_MAX = 2**31 - 1
_TIMESTAMP_MAX = 2**63 - 1


def header_of(batch: Batch) -> dict[str, Any]:
    """Return all of a batch but its payloads, as JSON values."""
    return {
        "task_name": batch.task_name,
        "session_number": batch.session_number,
        "sequence": batch.sequence,
        "previous_lsn": str(batch.previous_lsn),
        "first_lsn": str(batch.first_lsn),
        "end_lsn": str(batch.end_lsn),
        "transaction_count": batch.transaction_count,
        "change_count": batch.change_count,
        "transaction_id": batch.transaction_id,
        "committed_at": batch.committed_at,
        "chunk": None if batch.chunk is None else _chunk_header(batch.chunk),
    }


def batch_of(header: Mapping[str, Any], payloads: Sequence[bytes]) -> Batch:
    """Return the batch that a header and its payloads are; raise WireFormatError naming a wrong field."""
    return Batch(
        task_name=field(header, "task_name", str),
        session_number=count(header, "session_number"),
        sequence=count(header, "sequence"),
        previous_lsn=lsn(header, "previous_lsn"),
        first_lsn=lsn(header, "first_lsn"),
        end_lsn=lsn(header, "end_lsn"),
        transaction_count=count(header, "transaction_count"),
        change_count=count(header, "change_count"),
        transaction_id=count(header, "transaction_id", at_most=_XID_MAX),
        committed_at=_timestamp(header.get("committed_at")),
        chunk=_chunk(header.get("chunk")),
        payloads=payloads,
    )


def field(header: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a field of one type exactly; raise WireFormatError."""
    value = header.get(name)
    if type(value) is not kind:
        raise WireFormatError(f"field {name!r} is {type(value).__name__}, expected {kind.__name__}")
    return value


def count(header: Mapping[str, Any], name: str, *, at_most: int = _COUNT_MAX) -> int:
    """Return a field that is a number from 0 on; raise WireFormatError."""
    value = field(header, name, int)
    if not 0 <= value <= at_most:
        raise WireFormatError(f"field {name!r} is out of range")
    return int(value)


def lsn(header: Mapping[str, Any], name: str) -> Lsn:
    """Return a field that is an LSN; raise WireFormatError."""
    try:
        return Lsn.parse(field(header, name, str))
    except ProtocolError as error:
        raise WireFormatError(f"field {name!r} is not an LSN") from error


def _chunk_header(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "end": chunk.end.value,
        "subtransactions": chunk.subtransactions,
        "rolled_back": chunk.rolled_back,
    }


def _chunk(header: object) -> Chunk | None:
    if header is None:
        return None
    if not isinstance(header, dict):
        raise WireFormatError("field 'chunk' is not a JSON object")
    return Chunk(
        index=count(header, "index", at_most=_CHUNK_INDEX_MAX),
        end=_chunk_end(header),
        subtransactions=_subtransactions(header),
        rolled_back=_rolled_back(header),
    )


def _chunk_end(header: dict[str, Any]) -> ChunkEnd:
    try:
        return ChunkEnd(field(header, "end", str))
    except ValueError as error:
        raise WireFormatError("field 'end' of the chunk is none of open, commit, rollback") from error


def _timestamp(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -_TIMESTAMP_MAX - 1 <= value <= _TIMESTAMP_MAX:
        raise WireFormatError("field 'committed_at' is not a timestamp")
    return value


def _subtransactions(header: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Read pairs of payload position and xid, by ascending position."""
    runs = field(header, "subtransactions", list)
    if not all(isinstance(run, list) and len(run) == 2 and all(map(_is_number, run)) for run in runs):
        raise WireFormatError("field 'subtransactions' is not a list of [position, xid]")
    if any(after[0] < before[0] for before, after in pairwise(runs)):
        raise WireFormatError("field 'subtransactions' is not in order of position")
    return tuple([(position, xid) for position, xid in runs])


def _rolled_back(header: dict[str, Any]) -> tuple[int, ...]:
    xids = field(header, "rolled_back", list)
    if not all(map(_is_number, xids)):
        raise WireFormatError("field 'rolled_back' is not a list of xids")
    return tuple(xids)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _XID_MAX
