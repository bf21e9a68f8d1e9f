"""LSNs as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.lsn import NO_LSN, Lsn


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0/0", 0),
        ("0/16B3748", 0x16B3748),
        ("16/B374D848", 0x16_B374D848),
        ("1/0", 1 << 32),
        ("FFFFFFFF/FFFFFFFF", 2**64 - 1),
    ],
)
def test_lsn_is_read_and_written_as_the_server_does(text: str, number: int) -> None:
    assert Lsn.parse(text) == number
    assert str(Lsn(number)) == text


@given(st.integers(0, 2**64 - 1))
def test_parsing_what_was_written_gives_the_same_lsn(number: int) -> None:
    assert Lsn.parse(str(Lsn(number))) == number


def test_small_letters_and_leading_zeros_are_read() -> None:
    assert Lsn.parse("0000000a/0000b0c1") == Lsn.parse("A/B0C1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "0",
        "0/",
        "/0",
        "0/0/0",
        " 0/0",
        "0/0\n",
        "-1/0",
        "0x1/0",
        "g/0",
        "123456789/0",
        "0/123456789",
        "٣/0",
    ],
)
def test_anything_else_is_refused_with_what_was_seen(text: str) -> None:
    with pytest.raises(ProtocolError, match="not an LSN"):
        Lsn.parse(text)


@given(st.text(max_size=20))
def test_any_text_is_an_lsn_or_a_protocol_error(text: str) -> None:
    try:
        lsn = Lsn.parse(text)
    except ProtocolError:
        return

    assert 0 <= lsn < 2**64


def test_lsns_are_ordered_by_position() -> None:
    texts = ["1/0", "0/FFFFFFFF", "0/A", "A/0", "0/9"]

    assert sorted(map(Lsn.parse, texts)) == list(map(Lsn.parse, ["0/9", "0/A", "0/FFFFFFFF", "1/0", "A/0"]))
    assert Lsn.parse("0/1") > NO_LSN


def test_repr_shows_the_position_as_the_server_writes_it() -> None:
    assert repr(Lsn(0x16B3748)) == "Lsn('0/16B3748')"
