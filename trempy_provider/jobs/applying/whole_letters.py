"""Dead letters that the broker has made of whole messages, in a task whose apply works in lanes."""

from __future__ import annotations

import logging

from trempy_provider.broker.base import Broker
from trempy_provider.jobs.applying.letters import Letter, lane_of, letter_of
from trempy_provider.postgres.checkpoints import Checkpoint, read_checkpoint
from trempy_provider.postgres.dead_letters import read_dead_letter
from trempy_provider.postgres.session import Session

logger = logging.getLogger(__name__)


def remove_applied_letters(session: Session, task_name: str, broker: Broker) -> None:
    """Remove the letters of which every lane has applied its part; no lane does that by itself."""
    checkpoint = read_checkpoint(session, task_name)
    letters = [letter_of(delivery) for delivery in broker.read_dead_letters() if lane_of(delivery) is None]
    for letter in letters:
        has_record = read_dead_letter(session, task_name, letter.message_id) is not None
        if not has_record and _is_behind(letter, checkpoint):
            broker.remove_dead_letter(letter.message_id)
            logger.info("task %s: dead letter %s is applied in all lanes", task_name, letter.message_id)


def _is_behind(letter: Letter, checkpoint: Checkpoint) -> bool:
    """Tell whether nobody needs a letter any more: it is applied, or sent anew by a later capture."""
    if letter.batch is None:
        return False
    is_applied = letter.batch.is_complete and letter.batch.end_lsn <= checkpoint.end_lsn
    return is_applied or letter.batch.session_number < checkpoint.capture_session
