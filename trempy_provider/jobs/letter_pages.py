"""Dead letters for a page: so many at a time, each with its first changes."""

from __future__ import annotations

from dataclasses import dataclass

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.applying.letter_list import list_letters
from trempy_provider.jobs.dead_letters import JOB, ShownLetter, show_letter
from trempy_provider.postgres.session import Endpoint


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters in the order of commits, and the last one's id where there are more."""

    letters: tuple[ShownLetter, ...]
    next_after: str | None


def read_letter_page(
    task: ReplicationTask,
    *,
    target: Endpoint,
    broker: Broker,
    after: str | None,
    limit: int,
    changes_limit: int,
) -> LetterPage:
    """Return the letters after the one of that id, from the beginning when there is none; change nothing."""
    with target.connect(JOB) as session:
        letters = list_letters(session, task.task_name, broker)
        names = [letter.message_id for letter in letters]
        start = names.index(after) + 1 if after in names else 0
        chosen = letters[start : start + limit]
        queued = [letter.message_id for letter in chosen if letter.is_in_queue]
        deliveries = broker.find_dead_letters(queued) if queued else {}
        shown = tuple(
            show_letter(
                session, task.task_name, letter, deliveries.get(letter.message_id), limit=changes_limit
            )
            for letter in chosen
        )
    has_more = start + limit < len(letters)
    return LetterPage(shown, chosen[-1].message_id if has_more else None)
