"""Positions in the write-ahead log."""

from __future__ import annotations

import re

from trempy_provider.errors import ProtocolError

_LSN_PATTERN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class Lsn(int):
    """A log sequence number: a byte position in the WAL, written as two hexadecimal halves.

    See the type `pg_lsn` in PostgreSQL's manual (8.20).
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read the form `16/B374D848`; raise ProtocolError for anything else."""
        match = _LSN_PATTERN.fullmatch(text)
        if match is None:
            raise ProtocolError(f"not an LSN: {text!r} (expected two hexadecimal halves: 16/B374D848)")
        return cls(int(match[1], 16) << 32 | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"


NO_LSN = Lsn(0)
