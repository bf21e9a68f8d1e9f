"""Payloads as a message has them: one after the other in one buffer, taken out when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload


class PackedPayloads(Sequence[bytes]):
    """A sequence of payloads: the one at n is `body[bounds[n]:bounds[n + 1]]`."""

    __slots__ = ("body", "bounds")

    def __init__(self, body: bytes, bounds: Sequence[int]) -> None:
        self.body = body
        self.bounds = bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[bytes]:
        body = self.body
        return (body[start:end] for start, end in pairwise(self.bounds))

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[bytes, ...]: ...

    def __getitem__(self, place: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(place, slice):
            return tuple([self[n] for n in range(*place.indices(len(self)))])
        place = range(len(self))[place]
        return self.body[self.bounds[place] : self.bounds[place + 1]]

    def joined(self, padding: bytes) -> bytes:
        """Return all payloads one after the other, and some bytes behind them."""
        return b"".join((memoryview(self.body)[self.bounds[0] :], padding))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
