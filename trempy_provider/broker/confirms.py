"""Which published messages the broker has confirmed.

A channel's publishes are numbered from 1, and RabbitMQ confirms them in any order, one by one or "all up to".
Only the contiguous prefix may be reported to the source: behind a hole, something is still in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trempy_provider.errors import ProtocolError


@dataclass(slots=True)
class ConfirmTracker:
    """Follow the messages of one channel from publish to confirm."""

    token: object | None = None
    unconfirmed_bytes: int = 0
    _last_tag: int = 0
    _pending: dict[int, tuple[object, int]] = field(default_factory=dict)
    _confirmed_ahead: dict[int, object] = field(default_factory=dict)
    _prefix_tag: int = 0

    @property
    def unconfirmed_count(self) -> int:
        """Return how many messages are in flight."""
        return len(self._pending)

    def published(self, token: object, *, size_bytes: int) -> int:
        """Note a message as sent and return its delivery tag."""
        self._last_tag += 1
        self._pending[self._last_tag] = (token, size_bytes)
        self.unconfirmed_bytes += size_bytes
        return self._last_tag

    def confirm(self, tag: int, *, multiple: bool) -> None:
        """Note a confirm of one message, or of all messages up to it.

        Raises ProtocolError for a message that was not published.
        """
        if tag > self._last_tag:
            raise ProtocolError(f"the broker confirmed message {tag}; published: {self._last_tag}")
        for confirmed_tag in self._tags_up_to(tag) if multiple else [tag]:
            self._confirm_one(confirmed_tag)
        self._advance()

    def _tags_up_to(self, tag: int) -> list[int]:
        """Return the pending tags a multiple confirm means; tag 0 stands for all of them."""
        return [pending for pending in self._pending if pending <= (tag or self._last_tag)]

    def _confirm_one(self, tag: int) -> None:
        if tag in self._pending:
            self._confirmed_ahead[tag], size_bytes = self._pending.pop(tag)
            self.unconfirmed_bytes -= size_bytes

    def _advance(self) -> None:
        while self._prefix_tag + 1 in self._confirmed_ahead:
            self._prefix_tag += 1
            self.token = self._confirmed_ahead.pop(self._prefix_tag)
