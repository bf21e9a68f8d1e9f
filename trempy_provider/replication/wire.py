"""The format of a batch on its way through the broker.

A message is one line of JSON (the header) followed by the sizes of the payloads, four bytes each in
network byte order, and the payloads themselves: pgoutput messages as the source's walsender wrote them.
No value is parsed, escaped or copied twice on the way, and a reader can take all payloads apart with one
array of offsets.

A batch is self-contained: every relation it uses is described in it, by the walsender's own message.
"""

from __future__ import annotations

import json
from array import array
from itertools import accumulate, pairwise
from sys import byteorder
from typing import Any

from trempy_provider.errors import ProtocolError, WireFormatError, WireVersionError
from trempy_provider.replication.batches import Batch, Chunk, ChunkEnd
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.packed_payloads import PackedPayloads

FORMAT_VERSION = 2
CONTENT_TYPE = "application/vnd.trempy.batch"
_SIZE_BYTES = 4
_COUNT_MAX = 2**63 - 1
_XID_MAX = 2**32 - 1
_CHUNK_INDEX_MAX = 2**31 - 1
_TIMESTAMP_MAX = 2**63 - 1


def encode(batch: Batch) -> bytes:
    """Return the message for a batch."""
    sizes = array("I", map(len, batch.payloads))
    if byteorder == "little":
        sizes.byteswap()
    header = json.dumps(_header(batch), separators=(",", ":")).encode()
    return b"".join((header, b"\n", sizes.tobytes(), *batch.payloads))


def decode(body: bytes) -> Batch:
    """Return the batch in a message; raise WireFormatError for anything else."""
    line, separator, rest = body.partition(b"\n")
    if not separator:
        raise WireFormatError("the message has no header line")
    header = _parse_header(line)
    payloads = _split(rest, _count(header, "payload_count"))
    return _batch(header, payloads)


def _header(batch: Batch) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
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
        "payload_count": len(batch.payloads),
    }


def _chunk_header(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "end": chunk.end.value,
        "subtransactions": chunk.subtransactions,
        "rolled_back": chunk.rolled_back,
    }


def _parse_header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireFormatError("the message's header is not JSON") from error
    if not isinstance(header, dict):
        raise WireFormatError("the message's header is not a JSON object")
    version = _count(header, "format")
    if version != FORMAT_VERSION:
        raise WireVersionError(
            f"the message has format {version}; this version reads format {FORMAT_VERSION}"
        )
    return header


def _field(header: dict[str, Any], name: str, kind: type) -> Any:
    value = header.get(name)
    if type(value) is not kind:
        raise WireFormatError(f"header field {name!r} is {type(value).__name__}, expected {kind.__name__}")
    return value


def _count(header: dict[str, Any], name: str, *, at_most: int = _COUNT_MAX) -> int:
    value = _field(header, name, int)
    if not 0 <= value <= at_most:
        raise WireFormatError(f"header field {name!r} is out of range")
    return int(value)


def _lsn(header: dict[str, Any], name: str) -> Lsn:
    try:
        return Lsn.parse(_field(header, name, str))
    except ProtocolError as error:
        raise WireFormatError(f"header field {name!r} is not an LSN") from error


def _split(rest: bytes, count: int) -> PackedPayloads:
    table_bytes = count * _SIZE_BYTES
    if table_bytes > len(rest):
        raise WireFormatError(f"the message is too short for {count} payloads")
    sizes = array("I", rest[:table_bytes])
    if byteorder == "little":
        sizes.byteswap()
    bounds = array("q", accumulate(sizes, initial=table_bytes))
    if bounds[-1] != len(rest):
        raise WireFormatError(
            f"the payloads should end at byte {bounds[-1]}, the message ends at {len(rest)}"
        )
    return PackedPayloads(rest, bounds)


def _batch(header: dict[str, Any], payloads: PackedPayloads) -> Batch:
    return Batch(
        task_name=_field(header, "task_name", str),
        session_number=_count(header, "session_number"),
        sequence=_count(header, "sequence"),
        previous_lsn=_lsn(header, "previous_lsn"),
        first_lsn=_lsn(header, "first_lsn"),
        end_lsn=_lsn(header, "end_lsn"),
        transaction_count=_count(header, "transaction_count"),
        change_count=_count(header, "change_count"),
        transaction_id=_count(header, "transaction_id", at_most=_XID_MAX),
        committed_at=_timestamp(header.get("committed_at")),
        chunk=_chunk(header.get("chunk")),
        payloads=payloads,
    )


def _chunk(header: object) -> Chunk | None:
    if header is None:
        return None
    if not isinstance(header, dict):
        raise WireFormatError("header field 'chunk' is not a JSON object")
    return Chunk(
        index=_count(header, "index", at_most=_CHUNK_INDEX_MAX),
        end=_chunk_end(header),
        subtransactions=_subtransactions(header),
        rolled_back=_rolled_back(header),
    )


def _chunk_end(header: dict[str, Any]) -> ChunkEnd:
    try:
        return ChunkEnd(_field(header, "end", str))
    except ValueError as error:
        raise WireFormatError("header field 'end' of the chunk is none of open, commit, rollback") from error


def _timestamp(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -_TIMESTAMP_MAX - 1 <= value <= _TIMESTAMP_MAX:
        raise WireFormatError("header field 'committed_at' is not a timestamp")
    return value


def _subtransactions(header: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Read pairs of payload position and xid, by ascending position."""
    runs = _field(header, "subtransactions", list)
    if not all(isinstance(run, list) and len(run) == 2 and all(map(_is_number, run)) for run in runs):
        raise WireFormatError("header field 'subtransactions' is not a list of [position, xid]")
    if any(after[0] < before[0] for before, after in pairwise(runs)):
        raise WireFormatError("header field 'subtransactions' is not in order of position")
    return tuple([(position, xid) for position, xid in runs])


def _rolled_back(header: dict[str, Any]) -> tuple[int, ...]:
    xids = _field(header, "rolled_back", list)
    if not all(map(_is_number, xids)):
        raise WireFormatError("header field 'rolled_back' is not a list of xids")
    return tuple(xids)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _XID_MAX
