"""Payloads of our own that tell of a table what its description in the stream does not.

They are logical messages, which every reader of pgoutput passes over, and stand before the description.
While a transaction is in progress on the source, the catalog does not show what it has done, and reading it
may have to wait for the transaction's locks; so nothing is told until it commits.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import orjson

from trempy_provider.replication import pgoutput
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import LogicalMessage

_PREFIX = "trempy.table."
_LSN_START = 2
_PREFIX_START = 10  # after the message's marker, flags and LSN
_NUMBER_START = _PREFIX_START + len(_PREFIX)
_OID_MAX = 2**32 - 1


class ReadFacts(Protocol):
    """Whoever can ask the source."""

    def __call__(self, oid: int, xid: int) -> bytes:
        """Return the facts of a table that is described in committed transaction `xid`, as a payload."""


def encode_facts(oid: int, lsn: Lsn, content: bytes) -> bytes:
    """Return facts of a table as a payload; they were read where the WAL was at `lsn`."""
    message = LogicalMessage(is_transactional=True, lsn=lsn, prefix=f"{_PREFIX}{oid}", content=content)
    return pgoutput.encode_logical_message(message)


def pack_facts(facts: Any) -> bytes:
    """Return JSON values as the content of facts: compressed, because every batch has them of its tables."""
    return zlib.compress(json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode())


def unpack_facts(content: bytes) -> Any:
    """Return the JSON values in the content of facts; raise ValueError or zlib.error when there are none."""
    return orjson.loads(zlib.decompress(content))


def facts_of(payload: bytes) -> tuple[int, Any] | None:
    """Return the table's OID and the JSON values in a payload, None for one that `facts_from` cannot make."""
    if not is_facts(payload):
        return None
    try:
        oid = table_of_facts(payload)
        lsn, content = decode_facts(payload)
        facts = unpack_facts(content) if content else None
    except (ValueError, zlib.error):
        return None
    return (oid, facts) if oid <= _OID_MAX and facts_from(oid, lsn, facts) == payload else None


def facts_from(oid: int, lsn: Lsn, facts: Any) -> bytes:
    """Return JSON values as a payload; None stands for facts that are to be told."""
    return encode_facts(oid, lsn, b"" if facts is None else pack_facts(facts))


def facts_to_be_told(oid: int) -> bytes:
    """Return the payload in whose place the facts of a table come when the transaction commits."""
    return encode_facts(oid, NO_LSN, b"")


def is_facts(payload: bytes) -> bool:
    """Tell whether a payload is one of these."""
    return payload[:1] == b"M" and payload.startswith(_PREFIX.encode(), _PREFIX_START)


def are_told(payload: bytes) -> bool:
    """Tell whether a payload is one of these and says something already."""
    return is_facts(payload) and payload != facts_to_be_told(table_of_facts(payload))


def decode_facts(payload: bytes) -> tuple[Lsn, bytes]:
    """Return the LSN and the content of facts."""
    message = pgoutput.decode(payload)
    assert isinstance(message, LogicalMessage)
    return message.lsn, message.content


def without_position(payload: bytes) -> bytes:
    """Return a payload that compares equal to others that say the same, wherever facts were read."""
    return payload[:_LSN_START] + payload[_PREFIX_START:] if is_facts(payload) else payload


def facts_by_table(payloads: Iterable[bytes]) -> dict[int, bytes]:
    """Return the last facts of each table among payloads, by OID."""
    return {table_of_facts(payload): payload for payload in payloads if is_facts(payload)}


def with_corrected_facts(payloads: Iterable[bytes], corrected: Mapping[int, bytes]) -> tuple[bytes, ...]:
    """Return payloads with the facts of some tables replaced."""
    return tuple(
        [
            corrected.get(table_of_facts(payload), payload) if is_facts(payload) else payload
            for payload in payloads
        ]
    )


def table_of_facts(payload: bytes) -> int:
    """Return the OID of the table that facts are about."""
    return int(payload[_NUMBER_START : payload.index(b"\0", _NUMBER_START)])
