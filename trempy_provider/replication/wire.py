"""The formats of a batch on its way through the broker; a message says itself which one it has.

The binary one is one line of JSON (the header) followed by the sizes of the payloads, four bytes each in
network byte order, and the payloads themselves: pgoutput messages as the source's walsender wrote them.
No value is parsed, escaped or copied twice on the way, and a reader can take all payloads apart with one
array of offsets.

The other is one JSON object, without a line break, for whoever else reads the exchange (`wire_json.py`).

A batch is self-contained: every relation it uses is described in it, by the walsender's own message.
"""

from __future__ import annotations

import json
from array import array
from itertools import accumulate
from sys import byteorder
from typing import Any

from trempy_provider.errors import WireFormatError, WireVersionError
from trempy_provider.replication import wire_json
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.packed_payloads import PackedPayloads
from trempy_provider.replication.wire_header import batch_of, count, header_of

FORMAT_VERSION = 2
CONTENT_TYPE = "application/vnd.trempy.batch"
_SIZE_BYTES = 4


def encode(batch: Batch) -> bytes:
    """Return the message for a batch."""
    sizes = array("I", map(len, batch.payloads))
    if byteorder == "little":
        sizes.byteswap()
    fields = {"format": FORMAT_VERSION, **header_of(batch), "payload_count": len(batch.payloads)}
    header = json.dumps(fields, separators=(",", ":")).encode()
    return b"".join((header, b"\n", sizes.tobytes(), *batch.payloads))


def encode_as(body: bytes, batch: Batch) -> bytes:
    """Return the message for a batch in the format that another message has."""
    return wire_json.encode(batch) if is_json(body) else encode(batch)


def decode(body: bytes) -> Batch:
    """Return the batch in a message of any format; raise WireFormatError for anything else."""
    line, separator, rest = body.partition(b"\n")
    if not separator:
        return wire_json.decode(body)
    header = _parse_header(line)
    payloads = _split(rest, count(header, "payload_count"))
    return batch_of(header, payloads)


def is_json(body: bytes) -> bool:
    """Tell whether a message has the JSON format, if any."""
    return b"\n" not in body


def content_type_of(body: bytes) -> str:
    """Return the content type of a message."""
    return wire_json.CONTENT_TYPE if is_json(body) else CONTENT_TYPE


def _parse_header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireFormatError("the message's header is not JSON") from error
    if not isinstance(header, dict):
        raise WireFormatError("the message's header is not a JSON object")
    version = count(header, "format")
    if version != FORMAT_VERSION:
        raise WireVersionError(
            f"the message has format {version}; this version reads format {FORMAT_VERSION}"
        )
    return header


def _split(rest: bytes, payload_count: int) -> PackedPayloads:
    table_bytes = payload_count * _SIZE_BYTES
    if table_bytes > len(rest):
        raise WireFormatError(f"the message is too short for {payload_count} payloads")
    sizes = array("I", rest[:table_bytes])
    if byteorder == "little":
        sizes.byteswap()
    bounds = array("q", accumulate(sizes, initial=table_bytes))
    if bounds[-1] != len(rest):
        raise WireFormatError(
            f"the payloads should end at byte {bounds[-1]}, the message ends at {len(rest)}"
        )
    return PackedPayloads(rest, bounds)
