"""The fast form of net changes says the same as the exact one, or that it has nothing to say."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.changes import OID, delete, insert, make_relation, update
from trempy_provider.errors import ProtocolError
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.columnar import PayloadTable
from trempy_provider.replication.columnar_net import net_rows, without_values_of_deletes
from trempy_provider.replication.columnar_text import staged_text
from trempy_provider.replication.exact_reasons import ExactReason
from trempy_provider.replication.messages import UNCHANGED, Relation, Tuple
from trempy_provider.replication.net_changes import NetChange, NetGroup, net_steps

KEY = (2, 0)
RELATION = make_relation("b", "v", "a", "w", key=("a", "b"))
KEYLESS = make_relation("x", "y")
LETTERS = {Operation.INSERT: "I", Operation.UPDATE: "U", Operation.DELETE: "D"}

KEYS = st.tuples(st.sampled_from([b"1", b"12"]), st.sampled_from([b"2", b""]))
CELLS = st.sampled_from([b"", b"p", b"\xc3\xa9", b"tab\there", b"\\N", b"a\nb\rc", None, UNCHANGED])


@st.composite
def row_changes(draw: st.DrawFn) -> Change:
    """Return any change: of a key or not, with a whole old row, its key, or nothing."""
    (a, b), (v, w) = draw(KEYS), (draw(CELLS), draw(CELLS))
    kind = draw(
        st.sampled_from(["insert", "update", "update", "full update", "move", "delete", "full delete"])
    )
    key_only: Tuple = (b, None, a, None)
    whole: Tuple = (b, b"old", a, draw(st.sampled_from([b"old\t", None])))
    if kind == "insert":
        return insert(RELATION, b, v, a, w)
    if kind == "delete":
        return delete(RELATION, key=key_only)
    if kind == "full delete":
        return delete(RELATION, old=whole)
    if kind == "move":
        new_a, new_b = draw(KEYS)
        return update(RELATION, (new_b, v, new_a, w), key=key_only)
    new_key_is_sent = draw(st.booleans())
    new: Tuple = (b if new_key_is_sent else UNCHANGED, v, a, w)
    if kind == "full update":
        return update(RELATION, new, old=whole)
    return update(RELATION, new, key=None if new_key_is_sent else key_only)


@dataclass(frozen=True)
class Staged:
    body: bytes
    counts: Counter[tuple[str, str]]


def fast(
    changes: Sequence[Change], relation: Relation, key: tuple[int, ...], *, by_key: bool = False
) -> Staged | None:
    table = PayloadTable([change.payload for change in changes])
    rows = table.row_changes(relation.oid, column_count=len(relation.columns))
    net = net_rows(rows, table.buffer, key_positions=key, by_key=by_key)
    if isinstance(net, ExactReason):
        return None
    positions = tuple(range(len(relation.columns)))
    staged = staged_text(without_values_of_deletes(net, key), table.buffer, positions=positions)
    return Staged(b"".join(staged.parts), staged.counts)


def exact(changes: Sequence[Change], key: tuple[int, ...]) -> Staged | None:
    steps = list(net_steps(changes, key_positions=key))
    if len(steps) != 1 or not isinstance(steps[0], NetGroup):
        return None
    counts: Counter[tuple[str, str]] = Counter()
    lines = [_line(net, key, counts) for net in steps[0].net_changes]
    return Staged(b"".join(lines), counts)


def _line(net: NetChange, key: tuple[int, ...], counts: Counter[tuple[str, str]]) -> bytes:
    is_gone = net.operation is Operation.DELETE
    letter = "G" if is_gone and not net.existed else LETTERS[net.operation]
    row = [value if i in key or not is_gone else None for i, value in enumerate(net.row)]
    mask = "".join("u" if value is UNCHANGED else "." for value in row)
    counts[letter, mask] += 1
    fields = [b"\\N" if not isinstance(value, bytes) else _escaped(value) for value in row]
    return b"\t".join([letter.encode(), mask.encode(), *fields]) + b"\n"


def _escaped(value: bytes) -> bytes:
    for plain, written in ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r")):
        value = value.replace(plain, written)
    return value


@settings(max_examples=400)
@given(changes=st.lists(row_changes(), min_size=1, max_size=12), by_key=st.booleans())
def test_net_rows_are_those_of_the_exact_form(changes: list[Change], by_key: bool) -> None:
    wanted = exact(changes, KEY)
    if len(changes) == 1 and wanted is None:
        return  # a lone change is a step of its own there

    found = fast(changes, RELATION, KEY, by_key=by_key)

    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert sorted(found.body.splitlines()) == sorted(wanted.body.splitlines())
        assert found.counts == wanted.counts


@given(rows=st.lists(st.tuples(CELLS, CELLS).filter(lambda row: UNCHANGED not in row), min_size=1))
def test_inserts_without_a_key_keep_their_order_unless_one_is_escaped(rows: list[Tuple]) -> None:
    changes = [insert(KEYLESS, *row) for row in rows]  # type: ignore[arg-type]

    found, wanted = fast(changes, KEYLESS, ()), exact(changes, ())

    assert found is not None and wanted is not None
    assert sorted(found.body.split(b"\n")) == sorted(wanted.body.split(b"\n"))
    assert found.counts == wanted.counts


def test_rows_by_key_are_in_the_order_of_their_numbers():
    numbered = make_relation("id", "v", key=("id",))
    changes = [insert(numbered, str(n).encode(), b"v") for n in (10, 9, 123456789, 2, 100)]

    staged = fast(changes, numbered, (0,), by_key=True)

    assert staged is not None
    assert [line.split(b"\t")[2] for line in staged.body.splitlines()] == [
        b"2", b"9", b"10", b"100", b"123456789",
    ]  # fmt: skip


def test_text_of_many_parts_and_long_values_is_that_of_the_exact_form():
    values = (b"x", b"y" * 300, b"tab\t", None, b"z" * 70_000)
    changes = [insert(RELATION, b"%d" % n, values[n % 5], b"a", values[n % 3]) for n in range(3_000)]

    found, wanted = fast(changes, RELATION, KEY), exact(changes, KEY)

    assert found is not None and wanted is not None
    assert sorted(found.body.splitlines()) == sorted(wanted.body.splitlines())


@pytest.mark.parametrize(("step", "bytes_per_cell"), [(1, 17), (-1, 26)], ids=["ascending", "descending"])
def test_wide_rows_of_nulls_take_little_memory(step: int, bytes_per_cell: int) -> None:
    """A NULL takes one byte of a batch, so a batch may hold millions of them."""
    columns, rows = 500, 2000
    wide = make_relation(*(f"c{n}" for n in range(columns)), key=("c0",))
    changes = [insert(wide, b"%05d" % n, *[None] * (columns - 1)) for n in range(rows)][::step]
    payloads = [change.payload for change in changes]
    tracemalloc.start()

    table = PayloadTable(payloads)
    net = net_rows(
        table.row_changes(OID, column_count=columns), table.buffer, key_positions=(0,), by_key=True
    )
    assert not isinstance(net, ExactReason)
    staged = staged_text(net, table.buffer, positions=tuple(range(columns)))
    line_count = sum(part.count(b"\n") for part in staged.parts)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert line_count == rows
    assert peak_bytes < bytes_per_cell * columns * rows


def test_updates_without_a_key_have_no_fast_form():
    changes = [insert(KEYLESS, b"1", b"2"), delete(KEYLESS, old=(b"1", b"2"))]

    assert fast(changes, KEYLESS, ()) is None


def test_long_keys_have_no_fast_form():
    changes = [insert(RELATION, b"b" * 200, b"v", b"a", b"w"), insert(RELATION, b"b", b"v", b"a", b"w")]

    assert fast(changes, RELATION, KEY) is None


def test_relations_are_told_apart_and_listed_in_the_order_of_their_changes():
    first, second = make_relation("k", key=("k",), oid=9), make_relation("k", key=("k",), oid=5)
    payloads = [insert(first, b"1").payload, insert(second, b"2").payload, insert(first, b"3").payload]

    table = PayloadTable(payloads)

    assert table.relation_oids() == [9, 5]
    assert table.row_changes(9, column_count=1).count == 2


@settings(max_examples=300)
@given(payload=st.binary(min_size=0, max_size=60), head=st.sampled_from([b"I", b"U", b"D"]))
def test_any_bytes_give_rows_or_a_protocol_error(payload: bytes, head: bytes) -> None:
    table = PayloadTable(
        [head + OID.to_bytes(4, "big") + payload, insert(RELATION, b"", b"", b"", b"").payload]
    )

    try:
        changes = table.row_changes(OID, column_count=4)
    except ProtocolError:
        return

    assert changes.count == 2


@pytest.mark.parametrize("cut", range(6, 30))
def test_a_payload_cut_short_is_refused(cut: int) -> None:
    payload = insert(RELATION, b"bb", b"vv", b"aa", b"ww").payload

    with pytest.raises(ProtocolError):
        PayloadTable([payload[:cut]]).row_changes(OID, column_count=4)
