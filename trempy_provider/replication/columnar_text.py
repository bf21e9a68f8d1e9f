"""Write net rows in COPY's text format: gathers of slices, without touching a value.

In a payload each value stands behind four bytes of length, the last of which is overwritten with a tab: then
a field and its delimiter are one slice.
Values that need escaping are rare; their rows are found by counting and written one by one.
The text comes in parts, so that the server reads one while the next is written, and memory stays small.
See "COPY", section "Text Format".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trempy_provider.replication.columnar import NULL, UNCHANGED, Bytes, Cells, Flags, Offsets, Places
from trempy_provider.replication.columnar_net import NetRows

_TAB, _NEWLINE, _RETURN, _BACKSLASH = b"\t\n\r\\"
_NULL_FIELD = b"\t\\N"
_SENT, _LEFT = b".u"
_PART_BYTES = 1 << 16  # its indices, eight times as large, stay in the heap and in the cache
_LONG_SLICE_BYTES = 64  # from here on, joining slices is quicker than gathering bytes


@dataclass(frozen=True, slots=True)
class StagedText:
    """The rows for COPY, each behind its letter and mask, and how many there are by letter and mask.

    `parts` can be read once.
    """

    parts: Iterator[bytes]
    counts: Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Source:
    """Bytes with all values, then the field of a NULL and the heads of lines; which head each row has."""

    content: Bytes
    null_start: int
    head_length: int
    head_of_row: Places

    @property
    def head_start(self) -> int:
        """Where the first head stands."""
        return self.null_start + len(_NULL_FIELD)


def staged_text(net: NetRows, buffer: Bytes, *, positions: tuple[int, ...]) -> StagedText:
    """Write the columns at `positions` of all rows; a mask has `u` for each value that was not sent."""
    cells = _chosen(net.cells, positions)
    heads, head_of_row, counts = _heads(net.letters, cells)
    constants = np.frombuffer(b"".join((_NULL_FIELD, *heads)), np.uint8)
    head_length = len(heads[0]) if heads else 0
    source = _Source(np.concatenate((buffer, constants)), len(buffer), head_length, head_of_row)
    return StagedText(_parts(source, cells), counts)


def _chosen(cells: Cells, positions: tuple[int, ...]) -> Cells:
    if positions == tuple(range(len(cells.kinds))):
        return cells
    chosen = list(positions)
    return Cells(cells.kinds[chosen], cells.starts[chosen], cells.lengths[chosen])


def _parts(source: _Source, cells: Cells) -> Iterator[bytes]:
    """Yield the lines; each begins with its line end, so the first byte of all is left out and one added."""
    row_ends = np.cumsum(_line_lengths(source, cells))
    row = skipped = 0
    while row < len(row_ends):
        begin = int(row_ends[row - 1]) if row else 0
        end = max(int(np.searchsorted(row_ends, begin + _PART_BYTES)), row + 1)
        rows = slice(row, end)
        part = Cells(cells.kinds[:, rows], cells.starts[:, rows], cells.lengths[:, rows])
        starts, lengths = _slices(source, part, source.head_of_row[rows])
        yield _lines(source.content, starts, lengths, part)[not skipped :]
        row, skipped = end, 1
    yield b"\n"


def _line_lengths(source: _Source, cells: Cells) -> Places:
    """Return the bytes of each row's line, column by column: as a matrix they would take much memory."""
    lengths = np.full(cells.kinds.shape[1], source.head_length, np.int64)
    for kinds, of_values in zip(cells.kinds, cells.lengths, strict=True):
        lengths += np.where(_is_sent(kinds), of_values + 1, len(_NULL_FIELD))
    return lengths


def _lines(source: Bytes, starts: Offsets, lengths: Offsets, cells: Cells) -> bytes:
    body = _gathered(source, starts, lengths)
    is_null, is_left = cells.kinds == NULL, cells.kinds == UNCHANGED
    expected = lengths.shape[1] + 1 + is_null.sum(axis=0) + is_left.sum(axis=0)
    is_special = _rows_with_special_bytes(body, lengths, expected)
    if not is_special.any():
        return body.tobytes()
    plain = _gathered(source, starts[~is_special], lengths[~is_special])
    return plain.tobytes() + _escaped(source, starts[is_special], lengths[is_special], cells.take(is_special))


def _heads(letters: Bytes, cells: Cells) -> tuple[list[bytes], Places, Counter[tuple[str, str]]]:
    """Return the distinct line heads, which one each row has, and the rows by letter and mask."""
    masks = np.where(cells.kinds == UNCHANGED, np.uint8(_LEFT), np.uint8(_SENT))
    heads = np.ascontiguousarray(np.vstack((letters, masks)).T)
    whole = heads.view(np.dtype((np.void, heads.shape[1]))).ravel()
    distinct, head_of_row, counted = np.unique(whole, return_inverse=True, return_counts=True)
    texts = [bytes(head).decode() for head in distinct]
    counts = Counter({(text[0], text[1:]): int(n) for text, n in zip(texts, counted, strict=True)})
    return [f"\n{text[0]}\t{text[1:]}".encode() for text in texts], head_of_row.ravel(), counts


def _slices(source: _Source, cells: Cells, head_of_row: Places) -> tuple[Offsets, Offsets]:
    """Return, of shape (rows, 1 + columns), which slices of the source make up the lines."""
    is_sent = _is_sent(cells.kinds)
    source.content[cells.starts[is_sent] - 1] = _TAB
    starts = np.empty((cells.kinds.shape[1], 1 + len(cells.kinds)), np.int32)
    lengths = np.empty_like(starts)
    starts[:, 0] = source.head_start + head_of_row * source.head_length
    lengths[:, 0] = source.head_length
    starts[:, 1:] = np.where(is_sent, cells.starts - 1, source.null_start).T
    lengths[:, 1:] = np.where(is_sent, cells.lengths + 1, len(_NULL_FIELD)).T
    return starts, lengths


def _is_sent(kinds: Bytes) -> Flags:
    is_sent: Flags = (kinds != NULL) & (kinds != UNCHANGED)
    return is_sent


def _gathered(source: Bytes, starts: Offsets, lengths: Offsets) -> Bytes:
    """Return the slices one after the other."""
    flat_lengths = lengths.ravel()
    ends = np.cumsum(flat_lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if total > _LONG_SLICE_BYTES * len(ends):
        return _joined(source, starts.ravel(), flat_lengths)
    places = np.repeat(starts.ravel() - (ends - flat_lengths), flat_lengths)
    places += np.arange(total)
    return source.take(places)


def _joined(source: Bytes, starts: Offsets, lengths: Offsets) -> Bytes:
    view = source.data
    slices = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
    return np.frombuffer(b"".join([view[start:end] for start, end in slices]), np.uint8)


def _rows_with_special_bytes(body: Bytes, lengths: Offsets, expected: Places) -> Flags:
    """Find the rows with more tabs, line ends and backslashes than delimiters and NULLs account for."""
    if not len(lengths):
        return np.zeros(0, np.bool_)
    is_special = (body == _TAB) | (body == _NEWLINE) | (body == _RETURN) | (body == _BACKSLASH)
    if int(is_special.sum()) == int(expected.sum()):
        return np.zeros(len(lengths), np.bool_)
    row_ends = np.cumsum(lengths.sum(axis=1))
    seen = np.add.reduceat(is_special, np.concatenate(([0], row_ends[:-1])), dtype=np.int64)
    return np.asarray(seen != expected)


def _escaped(source: Bytes, starts: Offsets, lengths: Offsets, cells: Cells) -> bytes:
    lines = []
    for row, (row_starts, row_lengths) in enumerate(zip(starts, lengths, strict=True)):
        slices = [
            source[start : start + length].tobytes()
            for start, length in zip(row_starts, row_lengths, strict=True)
        ]
        is_sent = _is_sent(cells.kinds[:, row])
        fields = [
            b"\t" + escape(piece[1:]) if sent else piece
            for piece, sent in zip(slices[1:], is_sent, strict=True)
        ]
        lines.append(slices[0] + b"".join(fields))
    return b"".join(lines)


def escape(value: bytes) -> bytes:
    """Return a value as a field of COPY's text format."""
    return value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
