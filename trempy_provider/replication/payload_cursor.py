"""Reading the bytes of one pgoutput payload."""

from __future__ import annotations

from struct import Struct

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.lsn import Lsn

_BYTE = Struct("!B")
_INT16 = Struct("!H")
_INT32 = Struct("!I")
_LSN = Struct("!Q")
_TIMESTAMP = Struct("!q")


class PayloadCursor:
    """Read a payload from front to back, never past its end.

    Numbers are in network byte order; a number cut short raises struct.error, all else ProtocolError.
    """

    __slots__ = ("payload", "position")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.position = 0

    def _number(self, form: Struct) -> int:
        (number,) = form.unpack_from(self.payload, self.position)
        self.position += form.size
        return int(number)

    def byte(self) -> int:
        """Read an unsigned byte."""
        return self._number(_BYTE)

    def int16(self) -> int:
        """Read an unsigned 16-bit number."""
        return self._number(_INT16)

    def int32(self) -> int:
        """Read an unsigned 32-bit number."""
        return self._number(_INT32)

    def timestamp(self) -> int:
        """Read a signed time in microseconds since 2000-01-01."""
        return self._number(_TIMESTAMP)

    def lsn(self) -> Lsn:
        """Read an LSN."""
        return Lsn(self._number(_LSN))

    def text(self) -> str:
        """Read a UTF-8 string up to its NUL."""
        end = self.payload.find(b"\0", self.position)
        if end < 0:
            raise ProtocolError(f"pgoutput string at byte {self.position} has no end")
        start, self.position = self.position, end + 1
        return _utf8(self.payload[start:end], start)

    def take(self, size: int) -> bytes:
        """Read exactly `size` bytes."""
        end = self.position + size
        if end > len(self.payload):
            raise ProtocolError(
                f"pgoutput value of {size} bytes at byte {self.position} exceeds the message "
                f"of {len(self.payload)} bytes"
            )
        start, self.position = self.position, end
        return self.payload[start:end]

    def expect_end(self) -> None:
        """Raise ProtocolError unless all of the payload has been read."""
        if self.position != len(self.payload):
            raise ProtocolError(
                f"pgoutput message {self.payload[:1]!r} has {len(self.payload) - self.position} bytes "
                f"after its end at byte {self.position}"
            )


def _utf8(raw: bytes, position: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"pgoutput string at byte {position} is not UTF-8") from error
