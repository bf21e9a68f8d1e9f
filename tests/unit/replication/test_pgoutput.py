"""Decoding pgoutput's messages."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.generated_messages import BEGINS, COMMITS, MESSAGES, STREAMED_MESSAGES
from tests.support.pgoutput_encoder import encode
from trempy_provider.errors import ProtocolError
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BinaryValue,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    MessageType,
    OldTuple,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    StreamAbort,
    Truncate,
    Update,
)
from trempy_provider.replication.pgoutput import decode, encode_begin, encode_commit

RELATION = Relation(
    oid=16384,
    schema_name="shop",
    table_name="orders",
    replica_identity=ReplicaIdentity.DEFAULT,
    columns=(RelationColumn("id", 23, -1, is_key=True), RelationColumn("note", 1043, 84, is_key=False)),
)
INSERT = Insert(relation_oid=16384, new=(b"1", b"a note"))


def decode_or_none(payload: bytes, *, streamed: bool = False) -> Message | None:
    try:
        return decode(payload, streamed=streamed)
    except ProtocolError:
        return None


@given(MESSAGES)
def test_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    assert decode(encode(message)) == message


@given(STREAMED_MESSAGES)
def test_streamed_message_is_decoded_with_its_xid(message: Message) -> None:
    assert decode(encode(message), streamed=True) == message


@given(BEGINS)
def test_begin_is_encoded_as_the_walsender_writes_it(begin: Begin) -> None:
    assert encode_begin(begin) == encode(begin)
    assert decode(encode_begin(begin)) == begin


@given(COMMITS)
def test_commit_is_encoded_as_the_walsender_writes_it(commit: Commit) -> None:
    assert encode_commit(commit) == encode(commit)
    assert decode(encode_commit(commit)) == commit


def test_recorded_bytes_of_a_walsender_are_decoded() -> None:
    begin = bytes.fromhex("42 00000000016B3748 0002B4B3B1C2D3E4 000002F1".replace(" ", ""))
    commit = bytes.fromhex("43 00 00000000016B3748 00000000016B3778 0002B4B3B1C2D3E4".replace(" ", ""))
    insert = b"I\0\0\x40\0N\0\x02t\0\0\0\x011t\0\0\0\x06a note"

    assert decode(begin) == Begin(Lsn.parse("0/16B3748"), 0x2B4B3B1C2D3E4, 753)
    assert decode(commit) == Commit(Lsn.parse("0/16B3748"), Lsn.parse("0/16B3778"), 0x2B4B3B1C2D3E4)
    assert decode(insert) == INSERT


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_message_or_a_protocol_error(payload: bytes, streamed: bool) -> None:
    decode_or_none(payload, streamed=streamed)


@given(st.sampled_from(MessageType), st.binary(max_size=120), st.booleans())
def test_any_body_of_a_known_message_is_a_message_or_a_protocol_error(
    kind: MessageType, body: bytes, streamed: bool
) -> None:
    decode_or_none(bytes([kind]) + body, streamed=streamed)


@given(MESSAGES, st.data())
def test_message_cut_short_is_refused(message: Message, data: st.DataObject) -> None:
    payload = encode(message)
    size = data.draw(st.integers(0, len(payload) - 1))

    decoded = decode_or_none(payload[:size])

    assert decoded is None or (isinstance(decoded, StreamAbort) and decoded.abort_lsn is None)


@given(MESSAGES, st.binary(min_size=1, max_size=9))
def test_message_with_bytes_after_its_end_is_refused(message: Message, rest: bytes) -> None:
    decoded = decode_or_none(encode(message) + rest)

    assert decoded is None or isinstance(message, StreamAbort)


@given(STREAMED_MESSAGES, st.data())
def test_message_with_a_flipped_bit_is_a_message_or_a_protocol_error(
    message: Message, data: st.DataObject
) -> None:
    payload = bytearray(encode(message))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    decode_or_none(bytes(payload))
    decode_or_none(bytes(payload), streamed=True)


@given(MESSAGES, st.binary(min_size=1, max_size=8), st.data())
def test_message_with_bytes_inserted_is_a_message_or_a_protocol_error(
    message: Message, inserted: bytes, data: st.DataObject
) -> None:
    payload = encode(message)
    place = data.draw(st.integers(0, len(payload)))

    decode_or_none(payload[:place] + inserted + payload[place:])


@given(MESSAGES)
@example(INSERT)
def test_message_read_with_the_wrong_streamed_flag_is_a_message_or_a_protocol_error(message: Message) -> None:
    decode_or_none(encode(message), streamed=True)


def test_empty_schema_name_means_pg_catalog() -> None:
    payload = encode(RELATION).replace(b"shop\0", b"\0")

    relation = decode(payload)

    assert isinstance(relation, Relation)
    assert (relation.schema_name, relation.table_name) == ("pg_catalog", "orders")


def test_negative_type_modifier_stays_negative() -> None:
    relation = decode(encode(RELATION))

    assert isinstance(relation, Relation)
    assert [column.type_modifier for column in relation.columns] == [-1, 84]


def test_relation_without_columns_is_read() -> None:
    relation = Relation(1, "s", "t", ReplicaIdentity.NOTHING, ())

    assert decode(encode(relation)) == relation


def test_timestamp_before_2000_is_negative() -> None:
    begin = decode(b"B" + bytes(8) + b"\xff" * 8 + bytes(4))

    assert isinstance(begin, Begin)
    assert begin.committed_at == -1


@pytest.mark.parametrize("streamed", [False, True])
def test_flags_of_later_versions_do_not_make_a_key(streamed: bool) -> None:
    xid = b"\0\0\0\x07" if streamed else b""
    payload = b"R" + xid + b"\0\0\0\x01s\0t\0f\0\x01\x02c\0\0\0\0\x17\xff\xff\xff\xff"

    relation = decode(payload, streamed=streamed)

    assert isinstance(relation, Relation)
    assert not relation.columns[0].is_key


def test_empty_null_unchanged_and_binary_values_are_four_things() -> None:
    tuple_bytes = b"\0\x04t\0\0\0\0nub\0\0\0\0"

    insert = decode(b"I\0\0\0\x01N" + tuple_bytes)

    assert isinstance(insert, Insert)
    empty, null, unchanged, binary = insert.new
    assert (empty, type(empty)) == (b"", bytes)
    assert null is None
    assert unchanged is UNCHANGED
    assert (binary, type(binary)) == (b"", BinaryValue)


def test_value_may_hold_any_bytes() -> None:
    insert = Insert(relation_oid=1, new=(bytes(range(256)), b"N\0\x01", b"\\N"))

    assert decode(encode(insert)) == insert


def test_tuple_without_columns_is_read() -> None:
    assert decode(b"I\0\0\0\x01N\0\0") == Insert(relation_oid=1, new=())


@pytest.mark.parametrize("is_key_only", [True, False])
def test_old_row_says_whether_it_is_the_key_only(is_key_only: bool) -> None:
    old = OldTuple(is_key_only=is_key_only, values=(b"1", None))
    update, delete = Update(1, old, (b"2", b"x")), Delete(1, old)

    assert decode(encode(update)) == update
    assert decode(encode(delete)) == delete


def test_content_of_a_logical_message_may_look_like_anything() -> None:
    message = LogicalMessage(True, Lsn(5), "prefix", b"\0\0B\xff")

    assert decode(encode(message)) == message


def test_empty_payload_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"b'' is cut short at byte 0 of 0"):
        decode(b"")


def test_unknown_message_is_refused_with_its_marker() -> None:
    with pytest.raises(ProtocolError, match=r"unknown pgoutput message b'Z' at byte 0"):
        decode(b"Z123")


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (b"I\0\0\0\x01O\0\0", r"expected one of b'N' at byte 5 .* seen b'O'"),
        (b"U\0\0\0\x01X\0\0", r"expected one of b'N' at byte 5 .* seen b'X'"),
        (b"U\0\0\0\x01K\0\0K\0\0", r"expected one of b'N' at byte 8 .* seen b'K'"),
        (b"D\0\0\0\x01N\0\0", r"expected one of b'KO' at byte 5 .* seen b'N'"),
        (b"I\0\0\0\x01N\0\x02nx", r"unknown kind of value b'x' at byte 9"),
        (b"R\0\0\0\x01s\0t\0x\0\0", r"unknown replica identity b'x' at byte 9"),
        (b"R\0\0\0\x01s\0t\0\xff\0\0", r"unknown replica identity b'\\xff' at byte 9"),
    ],
)
def test_unknown_marker_is_refused_with_its_place(payload: bytes, place: str) -> None:
    with pytest.raises(ProtocolError, match=place):
        decode(payload)


def test_place_counts_the_xid_of_a_streamed_message() -> None:
    with pytest.raises(ProtocolError, match=r"at byte 9 .* seen b'O'"):
        decode(b"I\0\0\0\x07\0\0\0\x01O\0\0", streamed=True)


def test_string_without_an_end_is_refused() -> None:
    with pytest.raises(ProtocolError, match="string at byte 5 has no end"):
        decode(b"R\0\0\0\x01no zero byte follows")


def test_string_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ProtocolError, match="string at byte 9 is not UTF-8"):
        decode(b"O" + bytes(8) + b"\xc3(\0")


def test_value_longer_than_the_message_is_refused() -> None:
    payload = b"I\0\0\0\x01N\0\x01t" + struct.pack("!I", 2**32 - 1) + b"abc"

    with pytest.raises(ProtocolError, match=r"value of 4294967295 bytes at byte 13 exceeds"):
        decode(payload)


def test_tuple_with_fewer_values_than_announced_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"unknown kind of value b'' at byte 9"):
        decode(b"I\0\0\0\x01N\xff\xffn")


def test_relation_with_fewer_columns_than_announced_is_refused() -> None:
    payload = encode(Relation(1, "s", "t", ReplicaIdentity.FULL, ()))[:-2] + b"\xff\xff"

    with pytest.raises(ProtocolError, match="cut short at byte 12 of 12"):
        decode(payload)


def test_truncate_of_four_billion_tables_takes_no_memory() -> None:
    payload = b"T" + struct.pack("!IBI", 2**32 - 1, 0, 1)
    tracemalloc.start()

    with pytest.raises(ProtocolError, match="truncate of 4294967295 relations"):
        decode(payload)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_truncate_of_one_table_more_than_sent_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b"T" + struct.pack("!IBI", 2, 0, 1))


def test_truncate_keeps_its_options_apart() -> None:
    cascade, restart = Truncate((1, 2), True, False), Truncate((1,), False, True)

    assert decode(encode(cascade)) == cascade
    assert decode(encode(restart)) == restart


def test_bytes_after_the_end_are_counted() -> None:
    with pytest.raises(ProtocolError, match=r"b'E' has 3 bytes after its end at byte 1"):
        decode(b"Eabc")


def test_error_does_not_show_the_values() -> None:
    payload = encode(Insert(1, (b"top secret", b"x")))[:-2]

    with pytest.raises(ProtocolError) as raised:
        decode(payload)

    assert "secret" not in str(raised.value)
