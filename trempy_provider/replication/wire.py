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

from trempy_provider.errors import ProtocolError, WireFormatError
from trempy_provider.replication.batches import Batch, Chunk
from trempy_provider.replication.lsn import Lsn

FORMAT_VERSION = 1
CONTENT_TYPE = "application/vnd.trempy.batch"
_SIZE_BYTES = 4
_COUNT_MAX = 2**63 - 1
_XID_MAX = 2**32 - 1
_CHUNK_INDEX_MAX = 2**31 - 1


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
    chunk = batch.chunk
    return {
        "format": FORMAT_VERSION,
        "task_name": batch.task_name,
        "session_id": batch.session_id,
        "sequence": batch.sequence,
        "previous_lsn": str(batch.previous_lsn),
        "first_lsn": str(batch.first_lsn),
        "end_lsn": str(batch.end_lsn),
        "transaction_count": batch.transaction_count,
        "change_count": batch.change_count,
        "transaction_id": batch.transaction_id,
        "chunk": None if chunk is None else [chunk.index, chunk.is_last, chunk.committed_at],
        "payload_count": len(batch.payloads),
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
        raise WireFormatError(f"the message has format {version}; this version reads format {FORMAT_VERSION}")
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


def _split(rest: bytes, count: int) -> tuple[bytes, ...]:
    table_bytes = count * _SIZE_BYTES
    if table_bytes > len(rest):
        raise WireFormatError(f"the message is too short for {count} payloads")
    sizes = array("I", rest[:table_bytes])
    if byteorder == "little":
        sizes.byteswap()
    ends = list(accumulate(sizes, initial=table_bytes))
    if ends[-1] != len(rest):
        raise WireFormatError(f"the payloads should end at byte {ends[-1]}, the message ends at {len(rest)}")
    return tuple([rest[start:end] for start, end in pairwise(ends)])


def _batch(header: dict[str, Any], payloads: tuple[bytes, ...]) -> Batch:
    return Batch(
        task_name=_field(header, "task_name", str),
        session_id=_field(header, "session_id", str),
        sequence=_count(header, "sequence"),
        previous_lsn=_lsn(header, "previous_lsn"),
        first_lsn=_lsn(header, "first_lsn"),
        end_lsn=_lsn(header, "end_lsn"),
        transaction_count=_count(header, "transaction_count"),
        change_count=_count(header, "change_count"),
        transaction_id=_count(header, "transaction_id", at_most=_XID_MAX),
        chunk=_chunk(header.get("chunk")),
        payloads=payloads,
    )


def _chunk(fields: object) -> Chunk | None:
    if fields is None:
        return None
    if not isinstance(fields, list) or [type(value) for value in fields] != [int, bool, int]:
        raise WireFormatError("header field 'chunk' is not [index, is_last, committed_at]")
    index, is_last, committed_at = fields
    if not 0 <= index <= _CHUNK_INDEX_MAX:
        raise WireFormatError("header field 'chunk' has an index out of range")
    return Chunk(index=index, is_last=is_last, committed_at=committed_at)
