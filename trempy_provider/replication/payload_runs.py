"""Runs of payloads that a batch takes at once: whole transactions of row changes, changes of one transaction.

What a payload is shows in its first byte, so the first bytes of many payloads are a text, and a run is what
a regular expression finds in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHOLE_TRANSACTIONS = re.compile(rb"(?:B[IUD]+C)+")
_ROW_CHANGES = re.compile(rb"[IUD]+")
_BOUNDS = b"BC"


class PayloadRuns:
    """Payloads in stream order, and the runs among them."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads = payloads
        self._markers = b"".join([payload[:1] for payload in payloads])
        self.is_aligned = len(self._markers) == len(payloads)  # no payload is empty

    def whole_transactions(self, start: int) -> Sequence[bytes]:
        """Return the whole transactions that follow from `start` on, with row changes and nothing else."""
        return self._run(_WHOLE_TRANSACTIONS, start)

    def row_changes(self, start: int) -> Sequence[bytes]:
        """Return the row changes that follow from `start` on."""
        return self._run(_ROW_CHANGES, start)

    def _run(self, pattern: re.Pattern[bytes], start: int) -> Sequence[bytes]:
        found = pattern.match(self._markers, start) if self.is_aligned else None
        return () if found is None else self._payloads[start : found.end()]


def change_payloads(run: Sequence[bytes]) -> list[bytes]:
    """Return the row changes of whole transactions."""
    return [payload for payload in run if payload[0] not in _BOUNDS]


def relation_oids(changes: Sequence[bytes]) -> set[int]:
    """Return the relations of row changes that name no subtransaction."""
    return {int.from_bytes(oid, "big") for oid in {payload[1:5] for payload in changes}}
