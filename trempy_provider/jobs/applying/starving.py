"""Why nothing comes: whether batches that were published are neither in the queue nor applied.

A later batch would show that they are missing, but there may never be one: the queue was emptied, or the
broker has dead-lettered the last message when its consumer died once too often.
So an apply that gets nothing although something was published sends an empty batch behind it.
It arrives when everything before it has arrived or is lost, and meets the same questions as any batch: does
it follow what is applied, and if not, is what lies between a dead letter?
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import replace

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import BrokerUnavailableError
from trempy_provider.jobs.outgoing import message_of
from trempy_provider.postgres.checkpoints import read_capture_progress, read_checkpoint
from trempy_provider.postgres.session import Session
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.lsn import Lsn

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
_SEND_SECONDS = 5.0


class Starving:
    """The watch over an apply that gets no messages; the longer it gets none, the rarer it asks."""

    def __init__(self, target: Session, metadata: Session, task: ReplicationTask, *, broker: Broker) -> None:
        self._target = target
        self._metadata = metadata
        self._task_name = task.task_name
        self._message_format = task.cdc.message_format
        self._broker = broker
        self.fed()

    def fed(self) -> None:
        """Note that a message has come."""
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._asks_at = time.monotonic() + self._pause_seconds

    def hungry(self) -> None:
        """Note that none has come; ask for what is missing, if anything is and it is time."""
        if time.monotonic() < self._asks_at:
            return
        # What is recorded as published was in the queue before.
        published_lsn = read_capture_progress(self._metadata, self._task_name).published_lsn
        checkpoint = read_checkpoint(self._target, self._task_name)
        if checkpoint.end_lsn < published_lsn:
            self._ask(published_lsn, session_number=checkpoint.capture_session)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        self._asks_at = time.monotonic() + self._pause_seconds

    def _ask(self, published_lsn: Lsn, *, session_number: int) -> None:
        """Send an empty batch; a broker that takes none now is asked later."""
        batch = _empty_batch(self._task_name, published_lsn, session_number=session_number)
        message = replace(message_of(batch, self._message_format), message_id=f"empty-{published_lsn}")
        try:
            with closing(self._broker.open_publisher()) as publisher:
                if publisher.wait_for_room(timeout_seconds=_SEND_SECONDS):
                    publisher.publish(message)
                    publisher.wait_confirmed(timeout_seconds=_SEND_SECONDS)
        except BrokerUnavailableError as error:
            logger.debug("whether batches are missing cannot be asked now: %s", error)


def _empty_batch(task_name: str, lsn: Lsn, *, session_number: int) -> Batch:
    return Batch(
        task_name=task_name,
        session_number=session_number,
        sequence=0,
        previous_lsn=lsn,
        first_lsn=lsn,
        end_lsn=lsn,
        transaction_count=0,
        change_count=0,
        transaction_id=0,
        committed_at=None,
        chunk=None,
        payloads=(),
    )
