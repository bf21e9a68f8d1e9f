"""The JSON format of a batch, for whoever else reads the exchange: `batch.schema.json` describes it.

It says all that the binary format says, so that apply can take either: each payload is an object under
`messages`, in stream order, and reading one gives back the payload it was written of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import resources
from typing import Any

import orjson

from trempy_provider.errors import WireFormatError, WireVersionError
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.json_reading import JsonReader, read_time
from trempy_provider.replication.json_writing import JsonWriter, time_text
from trempy_provider.replication.wire_header import batch_of, count, field, header_of

FORMAT_NAME = "json"
FORMAT_VERSION = 1
CONTENT_TYPE = "application/json"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a message."""
    text = resources.files(__package__).joinpath("batch.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = orjson.loads(text)
    return schema


def encode(batch: Batch) -> bytes:
    """Return the message for a batch; raise ProtocolError for payloads that no batch has."""
    header, writer = header_of(batch), JsonWriter()
    if batch.committed_at is not None:
        header["committed_at"] = time_text(batch.committed_at)
    return orjson.dumps(
        {
            "message_format": FORMAT_NAME,
            "format_version": FORMAT_VERSION,
            **header,
            "messages": list(map(writer.message, batch.payloads)),
        }
    )


def decode(body: bytes) -> Batch:
    """Return the batch in a message; raise WireFormatError for anything else."""
    header = _parse(body)
    messages = field(header, "messages", list)
    if header.get("committed_at") is not None:
        header["committed_at"] = read_time(header, "committed_at")
    return batch_of(header, tuple(_payloads(messages)))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireFormatError("the message has no header line and is not JSON") from error
    if not isinstance(header, dict) or header.get("message_format") != FORMAT_NAME:
        raise WireFormatError("the message has no header line and is not a batch in JSON")
    version = count(header, "format_version")
    if version != FORMAT_VERSION:
        raise WireVersionError(
            f"the message has version {version} of the JSON format; this version reads {FORMAT_VERSION}"
        )
    return header


def _payloads(messages: list[Any]) -> Iterator[bytes]:
    reader = JsonReader()
    for place, message in enumerate(messages):
        try:
            yield reader.payload(message)
        except WireFormatError as error:
            raise WireFormatError(f"messages[{place}]: {error}") from error
        except struct.error as error:
            raise WireFormatError(f"messages[{place}]: a number is out of range") from error
