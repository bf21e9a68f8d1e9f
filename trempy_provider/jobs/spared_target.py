"""The target as capture asks it: what capture needs to go on is in the metadata, wherever that is kept.

Where the metadata is in a database of its own, capture goes on while the target does not answer.
It only has no sight of the tables whose changes the stream does not bring any more, and lets batches grow, as
it does while apply is behind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from trempy_provider.errors import RetryPolicy, TargetError
from trempy_provider.postgres.session import Endpoint, Session

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
Answer = TypeVar("Answer")


class SparedTarget:
    """A session with the target: that of the metadata, or one that may be missing for a while."""

    def __init__(self, target: Endpoint, metadata: Session, *, job: str) -> None:
        self._target = target
        self._job = job
        self._is_needed = target.metadata is target
        self._session: Session | None = metadata if self._is_needed else None
        self._away_until = 0.0

    def session(self) -> Session:
        """Return the session with the target; raise TargetError when it cannot be reached."""
        if self._session is None or (self._session.closed and not self._is_needed):
            self._session = self._target.connect(self._job)
        return self._session

    def ask(self, question: Callable[[Session], Answer], *, otherwise: Answer) -> Answer:
        """Return the answer of the target, or `otherwise` while it is spared and does not answer."""
        if self._is_needed:
            return question(self.session())
        if time.monotonic() < self._away_until:
            return otherwise
        try:
            return question(self.session())
        except TargetError as error:
            if error.policy is RetryPolicy.AFTER_FIX:
                raise
            self._leave(error)
            return otherwise

    def close(self) -> None:
        """Close the session, unless it is that of the metadata."""
        if self._session is not None and not self._is_needed:
            self._session.close()
            self._session = None

    def _leave(self, error: TargetError) -> None:
        logger.warning("task %s goes on without its target: %s", self._target.task_name, error)
        self._away_until = time.monotonic() + PAUSE_SECONDS
        self.close()
