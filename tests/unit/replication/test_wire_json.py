"""Batches as JSON messages for other readers of the exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.generated_messages import LSNS, NAMES, NUMBERS_32
from tests.support.message_schema import assert_matches_schema
from tests.support.pgoutput_encoder import encode as payload_of
from trempy_provider.errors import ProtocolError, WireFormatError, WireVersionError
from trempy_provider.replication import wire, wire_json
from trempy_provider.replication.batch_builder import BatchBuilder
from trempy_provider.replication.batches import Batch, BatchLimits, Chunk, ChunkEnd
from trempy_provider.replication.changes import microseconds_of
from trempy_provider.replication.json_sizes import json_measure
from trempy_provider.replication.json_writing import JsonWriter
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BinaryValue,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldTuple,
    Origin,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    Truncate,
    Type,
    Update,
)
from trempy_provider.replication.table_facts import encode_facts, facts_from, facts_to_be_told

NOON = microseconds_of(datetime(2026, 2, 3, 12, 0, 0, 1, timezone.utc))
ORDERS = Relation(
    oid=16400,
    schema_name="shop",
    table_name="orders",
    replica_identity=ReplicaIdentity.DEFAULT,
    columns=(RelationColumn("id", 23, -1, is_key=True), RelationColumn("note", 25, -1, is_key=False)),
)
BATCH = Batch(
    task_name="orders",
    session_number=5,
    sequence=7,
    previous_lsn=Lsn(0x100),
    first_lsn=Lsn(0x200),
    end_lsn=Lsn(0x300),
    transaction_count=1,
    change_count=1,
    transaction_id=753,
    committed_at=NOON,
    chunk=None,
    payloads=(),
)
CHUNK = Chunk(1, ChunkEnd.OPEN, subtransactions=((0, 754),), rolled_back=(755,))

TIMES = st.datetimes(timezones=st.just(timezone.utc)).map(microseconds_of)
TEXTS = st.text(max_size=8).map(str.encode)
VALUES = st.one_of(
    st.none(),
    st.just(UNCHANGED),
    TEXTS,
    st.binary(max_size=12),
    st.binary(max_size=12).map(BinaryValue),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values, max_size=3),
    max_leaves=6,
)


def relations() -> st.SearchStrategy[Relation]:
    columns = st.builds(
        RelationColumn,
        name=NAMES,
        type_oid=NUMBERS_32,
        type_modifier=st.integers(-(2**31), 2**31 - 1),
        is_key=st.booleans(),
    )
    return st.builds(
        Relation,
        oid=st.integers(0, 3),
        schema_name=NAMES,
        table_name=NAMES,
        replica_identity=st.sampled_from(ReplicaIdentity),
        columns=st.lists(columns, max_size=4, unique_by=lambda column: column.name).map(tuple),
    )


def changes(relation: Relation, values: st.SearchStrategy[Any] = VALUES) -> st.SearchStrategy[Message]:
    rows = st.tuples(*[values] * len(relation.columns))
    old = st.builds(OldTuple, is_key_only=st.booleans(), values=rows)
    oid = st.just(relation.oid)
    return st.one_of(
        st.builds(Insert, relation_oid=oid, new=rows),
        st.builds(Update, relation_oid=oid, old=st.none() | old, new=rows),
        st.builds(Delete, relation_oid=oid, old=old),
        st.builds(
            Truncate,
            relation_oids=st.lists(oid, max_size=3).map(tuple),
            cascade=st.booleans(),
            restart_identity=st.booleans(),
        ),
    )


OF_NO_TABLE = st.one_of(
    st.builds(Begin, commit_lsn=LSNS, committed_at=TIMES, xid=NUMBERS_32),
    st.builds(Commit, commit_lsn=LSNS, end_lsn=LSNS, committed_at=TIMES),
    st.builds(Type, oid=NUMBERS_32, schema_name=NAMES, type_name=NAMES),
    st.builds(
        LogicalMessage,
        is_transactional=st.booleans(),
        lsn=LSNS,
        prefix=NAMES | st.just("trempy.table.5"),
        content=st.binary(max_size=12),
    ),
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Relations, described more than once perhaps, each with changes; among them what is of no table."""
    messages: list[Message] = []
    for relation in draw(st.lists(relations(), max_size=3)):
        messages += [relation, *draw(st.lists(changes(relation) | OF_NO_TABLE, max_size=4))]
    return tuple(map(payload_of, messages))


def batches() -> st.SearchStrategy[Batch]:
    return st.builds(
        lambda found, **fields: replace(BATCH, payloads=found, **fields),
        payloads(),
        previous_lsn=LSNS,
        committed_at=st.none() | TIMES,
        transaction_id=NUMBERS_32,
        chunk=st.none() | st.just(CHUNK),
    )


def with_payloads(*messages: Message) -> Batch:
    return replace(BATCH, payloads=tuple(map(payload_of, messages)))


def decode_or_none(body: bytes) -> Batch | None:
    try:
        return wire_json.decode(body)
    except WireFormatError:
        return None


def changed(batch: Batch, change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(wire_json.encode(batch))
    change(fields)
    return json.dumps(fields).encode()


@settings(max_examples=40)
@given(batches())
def test_batch_is_decoded_as_it_was_encoded_and_matches_the_schema(batch: Batch) -> None:
    body = wire_json.encode(batch)

    assert wire.decode(body) == batch
    assert_matches_schema(body)


@given(batches())
def test_formats_are_told_apart(batch: Batch) -> None:
    assert wire.is_json(wire_json.encode(batch))
    assert not wire.is_json(wire.encode(batch))
    assert wire.encode_as(wire.encode(batch), batch) == wire.encode(batch)
    assert wire.encode_as(wire_json.encode(batch), batch) == wire_json.encode(batch)


def test_message_is_readable() -> None:
    mood = Type(oid=16390, schema_name="shop", type_name="mood")
    facts = facts_from(16400, Lsn(0x150), {"version": 1, "name": ["shop", "orders"]})
    batch = with_payloads(
        Begin(Lsn(0x200), NOON, 753),
        mood,
        ORDERS,
        Insert(16400, (b"1", 'naïve\n"quoted" \\ 😀'.encode())),
        Update(16400, None, (b"1", UNCHANGED)),
        Update(16400, OldTuple(is_key_only=True, values=(b"1", None)), (b"2", None)),
        Update(16400, OldTuple(is_key_only=False, values=(b"2", b"x")), (b"2", b"\xff")),
        Delete(16400, OldTuple(is_key_only=True, values=(b"2", None))),
        Truncate((16400,), cascade=False, restart_identity=True),
        Commit(Lsn(0x200), Lsn(0x300), NOON),
    )
    batch = replace(batch, payloads=(*batch.payloads[:2], facts, *batch.payloads[2:]))
    table = {"relation_oid": 16400, "schema_name": "shop", "table_name": "orders"}

    assert json.loads(wire_json.encode(batch)) == {
        "message_format": "json",
        "format_version": 1,
        "task_name": "orders",
        "session_number": 5,
        "sequence": 7,
        "previous_lsn": "0/100",
        "first_lsn": "0/200",
        "end_lsn": "0/300",
        "transaction_count": 1,
        "change_count": 1,
        "transaction_id": 753,
        "committed_at": "2026-02-03T12:00:00.000001+00:00",
        "chunk": None,
        "messages": [
            {
                "type": "begin",
                "transaction_id": 753,
                "commit_lsn": "0/200",
                "committed_at": "2026-02-03T12:00:00.000001+00:00",
            },
            {"type": "type", "type_oid": 16390, "schema_name": "shop", "type_name": "mood"},
            {
                "type": "facts",
                "relation_oid": 16400,
                "lsn": "0/150",
                "facts": {"version": 1, "name": ["shop", "orders"]},
            },
            {
                "type": "relation",
                **table,
                "replica_identity": "default",
                "columns": [
                    {"name": "id", "type_oid": 23, "type_modifier": -1, "is_key": True},
                    {"name": "note", "type_oid": 25, "type_modifier": -1, "is_key": False},
                ],
            },
            {"type": "insert", **table, "new": {"id": "1", "note": 'naïve\n"quoted" \\ 😀'}},
            {"type": "update", **table, "new": {"id": "1", "note": {"unchanged": True}}},
            {"type": "update", **table, "key": {"id": "1"}, "new": {"id": "2", "note": None}},
            {
                "type": "update",
                **table,
                "old": {"id": "2", "note": "x"},
                "new": {"id": "2", "note": {"bytes": "/w=="}},
            },
            {"type": "delete", **table, "key": {"id": "2"}},
            {"type": "truncate", "tables": [table], "cascade": False, "restart_identity": True},
            {
                "type": "commit",
                "commit_lsn": "0/200",
                "end_lsn": "0/300",
                "committed_at": "2026-02-03T12:00:00.000001+00:00",
            },
        ],
    }
    assert wire.decode(wire_json.encode(batch)) == batch


@pytest.mark.parametrize(
    "payload",
    [
        facts_to_be_told(5),
        encode_facts(5, Lsn(7), b""),
        encode_facts(5, Lsn(7), b"not packed"),
        facts_from(5, Lsn(7), {'odd " name': [2**63, -1, None, "é\u2028"]}),
    ],
)
def test_facts_of_a_table_are_kept_exactly(payload: bytes) -> None:
    batch = replace(BATCH, payloads=(payload,))

    assert wire.decode(wire_json.encode(batch)) == batch


def test_table_of_the_catalogs_schema_is_named_so_and_kept_exactly() -> None:
    batch = with_payloads(replace(ORDERS, schema_name=""))

    (message,) = json.loads(wire_json.encode(batch))["messages"]

    assert message["schema_name"] == "pg_catalog"
    assert wire.decode(wire_json.encode(batch)) == batch


@pytest.mark.parametrize(
    "messages",
    [
        (Insert(16400, (b"1",)),),
        (ORDERS, Insert(16400, (b"1",))),
        (ORDERS, Insert(16401, (b"1", b"2"))),
        (replace(ORDERS, columns=(ORDERS.columns[0],) * 2),),
        (Truncate((16400,), cascade=False, restart_identity=False),),
        (Origin(Lsn(1), "elsewhere"),),
        (Begin(Lsn(1), 2**62, 1),),
    ],
)
def test_payloads_that_no_batch_has_are_refused(messages: Sequence[Message]) -> None:
    with pytest.raises(ProtocolError):
        wire_json.encode(with_payloads(*messages))


@given(st.binary(max_size=200).filter(lambda body: b"\n" not in body))
def test_any_bytes_are_a_batch_or_a_wire_format_error(body: bytes) -> None:
    decode_or_none(body)


@given(JSON_VALUES)
def test_any_json_is_a_batch_or_a_wire_format_error(value: object) -> None:
    decode_or_none(json.dumps(value).encode())


@given(batches(), st.data())
def test_any_value_anywhere_is_a_batch_or_a_wire_format_error(batch: Batch, data: st.DataObject) -> None:
    def change(value: Any) -> Any:
        """Replace one value, found by going down at random."""
        if not isinstance(value, dict | list) or not value or data.draw(st.booleans()):
            return data.draw(JSON_VALUES)
        inner = list(value) if isinstance(value, dict) else list(range(len(value)))
        place = data.draw(st.sampled_from(inner))
        if isinstance(value, dict) and data.draw(st.booleans()):
            return {name: held for name, held in value.items() if name != place}
        value[place] = change(value[place])
        return value

    fields = json.loads(wire_json.encode(batch))
    name = data.draw(st.sampled_from(list(fields)))
    fields[name] = change(fields[name])

    decode_or_none(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (7, "not a JSON object"),
        ({}, "'type' is NoneType"),
        ({"type": "merge"}, "'merge'"),
        ({"type": "insert", "relation_oid": 1, "new": {}}, "relation 1 is not described"),
        ({"type": "insert", "relation_oid": 16400, "new": {"id": "1"}}, "1 columns, the relation 2"),
        ({"type": "insert", "relation_oid": 16400, "new": {"id": "1", "no": "x"}}, "lacks the column 'note'"),
        ({"type": "insert", "relation_oid": 16400, "new": {"id": 1, "note": "x"}}, "none of text"),
        ({"type": "insert", "relation_oid": 16400, "new": {"id": {"bytes": "é"}, "note": ""}}, "not base64"),
        ({"type": "delete", "relation_oid": 16400, "key": {"no": "1"}}, "3 columns, the relation 2"),
        ({"type": "update", "relation_oid": 16400, "key": {}, "old": {}, "new": {}}, "'key' and 'old'"),
        ({"type": "truncate", "tables": [1], "cascade": True, "restart_identity": True}, "'tables'"),
        ({"type": "type", "type_oid": 1, "schema_name": "a\0b", "type_name": "c"}, "NUL"),
        ({"type": "type", "type_oid": 2**32, "schema_name": "a", "type_name": "c"}, "out of range"),
        ({"type": "begin", "transaction_id": 1, "commit_lsn": "0/1", "committed_at": "2026-01-01"}, "UTC"),
    ],
)
def test_malformed_message_is_refused_by_its_place(message: object, problem: str) -> None:
    body = changed(with_payloads(ORDERS), lambda fields: fields["messages"].append(message))

    with pytest.raises(WireFormatError) as raised:
        wire.decode(body)

    assert "messages[1]" in str(raised.value)
    assert problem in str(raised.value)


def test_error_does_not_show_values() -> None:
    batch = with_payloads(ORDERS, Insert(16400, (b"1", b"top secret")))

    with pytest.raises(WireFormatError) as raised:
        wire.decode(changed(batch, lambda fields: fields["messages"][1]["new"].pop("id")))

    assert "secret" not in str(raised.value)


def test_other_version_is_refused_with_both_versions() -> None:
    with pytest.raises(WireVersionError, match="version 2 of the JSON format; this version reads 1"):
        wire.decode(changed(BATCH, lambda fields: fields.update(format_version=2)))


def test_fields_of_later_versions_are_ignored() -> None:
    assert wire.decode(changed(BATCH, lambda fields: fields.update(added_later=[1]))) == BATCH


@given(st.data())
def test_change_takes_no_more_bytes_than_measured(data: st.DataObject) -> None:
    relation = data.draw(relations())
    change = data.draw(changes(relation, st.none() | st.just(UNCHANGED) | TEXTS))
    if isinstance(change, Truncate):
        return
    writer = JsonWriter()
    writer.message(payload_of(relation))
    payload = payload_of(change)

    written = json.dumps(writer.message(payload), ensure_ascii=False, separators=(",", ":")).encode()

    slack = 2 * 16 * len(relation.columns)  # {"unchanged":true}
    assert len(written) <= json_measure(relation)(payload) + slack


@pytest.mark.parametrize("rows_per_transaction", [1, 3, 100_000])
@pytest.mark.parametrize("value", [b"x", b"\x01" * 100], ids=["short", "escaped"])
def test_messages_are_no_larger_than_batches_may_be(rows_per_transaction: int, value: bytes) -> None:
    columns = tuple(RelationColumn("a_rather_long_name_" + name, 25, -1, is_key=False) for name in "abcdef")
    wide = replace(ORDERS, columns=columns)
    limit = 100_000
    builder = BatchBuilder(
        task_name="orders",
        session_number=1,
        previous_lsn=NO_LSN,
        limits=BatchLimits(max_rows=10**6, max_bytes=limit),
        measure_of=json_measure,
    )
    row = payload_of(Insert(16400, (value,) * 6))

    stream: list[bytes] = []
    for number in range(max(1, 3000 // rows_per_transaction)):
        begin = Begin(Lsn(1000 + 10 * number), NOON, 700 + number)
        described = [payload_of(wide)] if number == 0 else []
        stream += [payload_of(begin), *described, *[row] * min(rows_per_transaction, 3000)]
        stream.append(payload_of(Commit(begin.commit_lsn, Lsn(begin.commit_lsn + 5), NOON)))
    made = list(builder.add_all(stream))

    assert len(made) > 2
    assert (
        max(len(wire_json.encode(batch)) for batch in made) <= 1.2 * limit
    )  # a batch ends with a transaction
