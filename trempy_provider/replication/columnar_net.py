"""Find the net effect of many changes of one relation, with arrays: the fast form of `net_changes`.

A stable sort by key puts each key's changes side by side, in their order; then a key's first and last
operation tell what becomes of it, and a value that was not sent is the last one sent before.
What would not be one group in `net_changes` has no fast form: a change of a key, a key that is null, not
sent or very long, changes that contradict each other, and anything but inserts where there is no key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trempy_provider.replication.columnar import (
    BINARY,
    DELETE,
    INSERT,
    NULL,
    TEXT,
    UNCHANGED,
    UPDATE,
    Bytes,
    Cells,
    Flags,
    Places,
    RowChanges,
)
from trempy_provider.replication.exact_reasons import ExactReason

CAME_AND_WENT = ord("G")  # the letter of a row that was inserted and deleted again
_KEY_BYTES_MAX = 128


@dataclass(frozen=True, slots=True)
class NetRows:
    """One row per key: its letter (I, U, D or CAME_AND_WENT) and cells; of D and G the key counts alone."""

    letters: Bytes
    cells: Cells


def net_rows(
    changes: RowChanges, buffer: Bytes, *, key_positions: tuple[int, ...], by_key: bool = False
) -> NetRows | ExactReason:
    """Return the net rows of all changes together, or why they have no fast form.

    They come in the order of each key's first change; with `by_key`, those whose keys are next to each other
    come together, which spares the target much searching.
    May fill values into the cells of `changes`, and share them.
    """
    if (changes.cells.kinds == BINARY).any():
        return ExactReason.BINARY
    if not key_positions:
        return _inserts_only(changes)
    _fill_old_values(changes)
    words = _key_words(changes.cells, buffer, key_positions)
    if words is None:
        return ExactReason.KEY_UNFIT
    if not _keeps_keys(changes, buffer, key_positions):
        return ExactReason.KEY_CHANGED
    order = np.lexsort(words[::-1])
    is_first = _starts_a_key([word[order] for word in words])
    operations = changes.operations[order]
    if _has_contradiction(operations, is_first):
        return ExactReason.CONTRADICTION
    return _last_of_each(changes.cells, operations, is_first, order, by_key=by_key)


def _inserts_only(changes: RowChanges) -> NetRows | ExactReason:
    if not (changes.operations == INSERT).all():
        return ExactReason.NO_KEY
    return NetRows(changes.operations, changes.cells)


def _fill_old_values(changes: RowChanges) -> None:
    """Fill values that were not sent from what was sent of the old row; NULL there says that it was not.

    See `Change.completed`.
    """
    cells, rows, old = changes.cells, changes.old_rows, changes.old_cells
    fills = (cells.kinds[:, rows] == UNCHANGED) & (old.kinds != NULL)
    for mine, theirs in (
        (cells.kinds, old.kinds),
        (cells.starts, old.starts),
        (cells.lengths, old.lengths),
    ):
        mine[:, rows] = np.where(fills, theirs, mine[:, rows])


def _keeps_keys(changes: RowChanges, buffer: Bytes, key_positions: tuple[int, ...]) -> bool:
    """Tell whether no update changes its key."""
    if not len(changes.old_rows):
        return True
    after = changes.cells.take(changes.old_rows)
    pairs = ((after, position) for position in key_positions)
    for cells, position in pairs:
        if (cells.lengths[position] != changes.old_cells.lengths[position]).any():
            return False
        if (changes.old_cells.kinds[position] != TEXT).any():
            return False
    old_words = _key_words(changes.old_cells, buffer, key_positions)
    new_words = _key_words(after, buffer, key_positions)
    if old_words is None or new_words is None:
        return False
    return all(np.array_equal(old, new) for old, new in zip(old_words, new_words, strict=True))


def _key_words(
    cells: Cells, buffer: Bytes, key_positions: tuple[int, ...]
) -> list[NDArray[np.uint64]] | None:
    """Return the keys as columns of 64-bit words, in whose order numbers ascend.

    Values are padded in front; text holds no zero byte, so that is unambiguous.
    """
    positions = list(key_positions)
    if (cells.kinds[positions] != TEXT).any():
        return None
    widths = [int(cells.lengths[position].max(initial=1)) for position in positions]
    if sum(widths) > _KEY_BYTES_MAX:
        return None
    total = -(-sum(widths) // 8) * 8
    matrix = np.zeros((cells.kinds.shape[1], total), np.uint8)
    column = total - sum(widths)
    for position, width in zip(positions, widths, strict=True):
        missing = width - cells.lengths[position][:, None]
        offsets = np.arange(width)
        places = np.maximum(cells.starts[position][:, None] + offsets - missing, 0)
        matrix[:, column : column + width] = np.where(offsets >= missing, buffer[places], 0)
        column += width
    return list(matrix.view(np.uint64).byteswap().T)


def _starts_a_key(words: list[NDArray[np.uint64]]) -> Flags:
    is_first = np.zeros(len(words[0]), np.bool_)
    is_first[:1] = True
    for word in words:
        is_first[1:] |= word[1:] != word[:-1]
    return is_first


def _has_contradiction(operations: Bytes, is_first: Flags) -> bool:
    """Tell whether a row is inserted where there is one, or changed where there is none."""
    before, after = operations[:-1], operations[1:]
    fits = np.where(before == DELETE, after == INSERT, (after == UPDATE) | (after == DELETE))
    return bool((~fits & ~is_first[1:]).any())


def _last_of_each(
    cells: Cells, operations: Bytes, is_first: Flags, order: Places, *, by_key: bool
) -> NetRows:
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(operations)) - 1
    if not by_key:
        in_stream_order = np.argsort(order[first], kind="stable")
        first, last = first[in_stream_order], last[in_stream_order]
    existed = operations[first] != INSERT
    is_gone = operations[last] == DELETE
    letters = np.where(
        is_gone, np.where(existed, DELETE, CAME_AND_WENT), np.where(existed, UPDATE, INSERT)
    ).astype(np.uint8)
    return NetRows(letters, _filled(cells, is_first, last, order))


def _filled(cells: Cells, is_first: Flags, last: Places, order: Places) -> Cells:
    """Return the cells of each key's last change; a value that was not sent is taken from the one before."""
    places = order[last]
    is_as_it_came = len(places) == cells.kinds.shape[1] and bool((places[1:] > places[:-1]).all())
    taken = cells if is_as_it_came else cells.take(places)  # cells of wide tables take much memory
    for column in np.flatnonzero((taken.kinds == UNCHANGED).any(axis=1)):
        is_known = (cells.kinds[column, order] != UNCHANGED) | is_first
        known = order[np.maximum.accumulate(np.where(is_known, np.arange(len(is_first)), 0))[last]]
        taken.kinds[column] = cells.kinds[column, known]
        taken.starts[column] = cells.starts[column, known]
        taken.lengths[column] = cells.lengths[column, known]
    return taken


def without_values_of_deletes(net: NetRows, key_positions: tuple[int, ...]) -> NetRows:
    """Write NULL for all but the key where the row is gone, and return the net rows."""
    is_gone = (net.letters == DELETE) | (net.letters == CAME_AND_WENT)
    if is_gone.any():
        others = np.ones((len(net.cells.kinds), 1), np.bool_)
        others[list(key_positions)] = False
        np.copyto(net.cells.kinds, np.uint8(NULL), where=others & is_gone)
    return net
