"""Batches as messages of the broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_messages import LSNS, NUMBERS_32, TIMESTAMPS
from trempy_provider.errors import WireFormatError
from trempy_provider.replication.batches import Batch, Chunk, ChunkEnd
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.wire import FORMAT_VERSION, decode, encode

COUNTS = st.integers(0, 2**63 - 1)
RUNS = st.lists(st.tuples(NUMBERS_32, NUMBERS_32), max_size=3).map(lambda runs: tuple(sorted(runs)))
CHUNKS = st.builds(
    Chunk,
    index=st.integers(0, 2**31 - 1),
    end=st.sampled_from(ChunkEnd),
    subtransactions=RUNS,
    rolled_back=st.lists(NUMBERS_32, max_size=3).map(tuple),
)
BATCHES = st.builds(
    Batch,
    task_name=st.text(max_size=10),
    session_number=COUNTS,
    sequence=COUNTS,
    previous_lsn=LSNS,
    first_lsn=LSNS,
    end_lsn=LSNS,
    transaction_count=COUNTS,
    change_count=COUNTS,
    transaction_id=NUMBERS_32,
    committed_at=st.none() | TIMESTAMPS,
    chunk=st.none() | CHUNKS,
    payloads=st.lists(st.binary(max_size=30), max_size=8).map(tuple),
)
BATCH = Batch(
    task_name="orders",
    session_number=5,
    sequence=7,
    previous_lsn=Lsn(0x100),
    first_lsn=Lsn(0x200),
    end_lsn=Lsn(0x300),
    transaction_count=2,
    change_count=3,
    transaction_id=753,
    committed_at=-5,
    chunk=Chunk(1, ChunkEnd.OPEN, subtransactions=((0, 754),), rolled_back=(755,)),
    payloads=(b"first", b"", b"third\n\0"),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values, max_size=3),
    max_leaves=6,
)
FIELDS = list(json.loads(encode(BATCH).partition(b"\n")[0]))
CHUNK_FIELDS = list(json.loads(encode(BATCH).partition(b"\n")[0])["chunk"])


def decode_or_none(body: bytes) -> Batch | None:
    try:
        return decode(body)
    except WireFormatError:
        return None


def with_header(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the message of BATCH with another header."""
    line, _, rest = encode(BATCH).partition(b"\n")
    header = json.loads(line)
    change(header)
    return json.dumps(header).encode() + b"\n" + rest


@given(BATCHES)
def test_batch_is_decoded_as_it_was_encoded(batch: Batch) -> None:
    assert decode(encode(batch)) == batch


def test_header_is_one_line_of_json_that_people_can_read() -> None:
    line, _, rest = encode(BATCH).partition(b"\n")

    assert json.loads(line) == {
        "format": FORMAT_VERSION,
        "task_name": "orders",
        "session_number": 5,
        "sequence": 7,
        "previous_lsn": "0/100",
        "first_lsn": "0/200",
        "end_lsn": "0/300",
        "transaction_count": 2,
        "change_count": 3,
        "transaction_id": 753,
        "committed_at": -5,
        "chunk": {
            "index": 1,
            "end": "open",
            "subtransactions": [[0, 754]],
            "rolled_back": [755],
        },
        "payload_count": 3,
    }
    assert rest == b"\0\0\0\x05\0\0\0\0\0\0\0\x07firstthird\n\0"


def test_batch_without_payloads_is_a_header_alone() -> None:
    batch = replace(BATCH, payloads=(), chunk=None)

    assert encode(batch).endswith(b"}\n")
    assert decode(encode(batch)) == batch


def test_fields_of_later_versions_are_ignored() -> None:
    assert decode(with_header(lambda header: header.update(added_later=[1]))) == BATCH


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_format_error(body: bytes) -> None:
    decode_or_none(body)


@given(JSON_VALUES, st.binary(max_size=20))
def test_any_json_header_is_a_batch_or_a_wire_format_error(header: object, rest: bytes) -> None:
    decode_or_none(json.dumps(header).encode() + b"\n" + rest)


@given(st.sampled_from(FIELDS), JSON_VALUES)
def test_any_value_of_any_field_is_a_batch_or_a_wire_format_error(name: str, value: object) -> None:
    decode_or_none(with_header(lambda header: header.update({name: value})))


@given(st.sampled_from(CHUNK_FIELDS), JSON_VALUES | st.lists(st.lists(st.integers(), max_size=3), max_size=3))
def test_any_value_in_a_chunk_is_a_batch_or_a_wire_format_error(name: str, value: object) -> None:
    decode_or_none(with_header(lambda header: header["chunk"].update({name: value})))


@given(BATCHES, st.data())
def test_damaged_message_is_a_batch_or_a_wire_format_error(batch: Batch, data: st.DataObject) -> None:
    body = bytearray(encode(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    decode_or_none(bytes(body))


@given(BATCHES, st.data())
def test_message_cut_short_is_refused(batch: Batch, data: st.DataObject) -> None:
    body = encode(batch)

    with pytest.raises(WireFormatError):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


@given(BATCHES, st.binary(min_size=1, max_size=8))
def test_message_with_bytes_after_its_end_is_refused(batch: Batch, rest: bytes) -> None:
    with pytest.raises(WireFormatError, match="the message ends at"):
        decode(encode(batch) + rest)


@pytest.mark.parametrize("name", FIELDS)
def test_header_without_a_field_is_refused_by_its_name(name: str) -> None:
    body = with_header(lambda header: header.pop(name))

    if name in ("chunk", "committed_at"):
        assert getattr(decode(body), name) is None
    else:
        with pytest.raises(WireFormatError, match=repr(name)):
            decode(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence", "7"),
        ("sequence", True),
        ("sequence", 7.0),
        ("sequence", -1),
        ("change_count", 2**63),
        ("change_count", -1),
        ("transaction_count", None),
        ("transaction_id", 2**32),
        ("payload_count", -1),
        ("payload_count", True),
        ("payload_count", 10**30),
        ("first_lsn", 512),
        ("end_lsn", "0/0/0"),
        ("previous_lsn", ""),
        ("task_name", ["orders"]),
        ("session_number", None),
        ("committed_at", "5"),
        ("committed_at", 5.0),
        ("committed_at", 2**63),
        ("format", True),
        ("format", 1.0),
    ],
)
def test_wrong_value_is_refused_by_its_field(name: str, value: object) -> None:
    body = with_header(lambda header: header.update({name: value}))

    with pytest.raises(WireFormatError, match=repr(name)):
        decode(body)


@pytest.mark.parametrize("payload_count", [0, 2, 4, 2**40, 2**62])
def test_wrong_number_of_payloads_is_refused(payload_count: int) -> None:
    with pytest.raises(WireFormatError, match=r"payloads"):
        decode(with_header(lambda header: header.update(payload_count=payload_count)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index", True),
        ("index", -1),
        ("index", 2**31),
        ("end", "last"),
        ("end", None),
        ("subtransactions", None),
        ("subtransactions", [1]),
        ("subtransactions", [[1]]),
        ("subtransactions", [[1, 2, 3]]),
        ("subtransactions", [[1, True]]),
        ("subtransactions", [[1, -2]]),
        ("subtransactions", [[2, 1], [1, 2]]),
        ("rolled_back", {}),
        ("rolled_back", [None]),
        ("rolled_back", [2**32]),
    ],
)
def test_malformed_chunk_is_refused_by_its_field(name: str, value: object) -> None:
    with pytest.raises(WireFormatError, match=repr(name)):
        decode(with_header(lambda header: header["chunk"].update({name: value})))


@pytest.mark.parametrize("chunk", [[], [1, False, 5], "1", 1, False])
def test_chunk_that_is_no_object_is_refused(chunk: object) -> None:
    with pytest.raises(WireFormatError, match="'chunk'"):
        decode(with_header(lambda header: header.update(chunk=chunk)))


def test_other_format_is_refused_with_both_versions() -> None:
    with pytest.raises(WireFormatError, match="has format 1; this version reads format 2"):
        decode(with_header(lambda header: header.update(format=1)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"\xff\xfe{}",
        b'{"format": "\xff"}',
        b'{"format": 2' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"format":' * 100_000,
        b'{"format": 2, "chunk": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"format": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"format": NaN}',
    ],
)
def test_header_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(WireFormatError):
        decode(line + b"\n")


def test_message_without_a_header_line_is_refused() -> None:
    with pytest.raises(WireFormatError, match="no header line"):
        decode(b'{"format": 2}')


def test_error_does_not_show_the_payloads() -> None:
    with pytest.raises(WireFormatError) as raised:
        decode(encode(replace(BATCH, payloads=(b"top secret",)))[:-1])

    assert "secret" not in str(raised.value)
