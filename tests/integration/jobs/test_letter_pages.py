"""Dead letters for the page: so many at a time, each with its first changes."""

import pytest

from tests.support.dead_letters import TABLES, make_tables, options, refuse
from tests.support.replication import Replication, settings
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.jobs.letter_pages import read_letter_page


@pytest.fixture
def replication(databases, rabbitmq_uri, task_name):
    make_tables(databases)
    given = settings(task_name, list(TABLES), **options())
    replication = Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri)
    replication.setup()
    replication.load()
    refuse(databases)
    yield replication
    replication.teardown()


def page_of(replication, **chosen):
    return read_letter_page(
        replication.task,
        target=replication.target,
        broker=replication.broker,
        **{"after": None, "limit": 2, "changes_limit": 1, **chosen},
    )


def test_letters_come_page_by_page_with_their_first_changes(databases, replication, monkeypatch):
    for n in (20, 30, 40):
        databases.source_admin.execute(
            "insert into public.t values (%s, 13, '<b>'), (%s, 13, 'x')", [n, n + 1]
        )
        replication.catch_up()

    asked = []
    original = RabbitMqBroker.find_dead_letters
    monkeypatch.setattr(
        RabbitMqBroker,
        "find_dead_letters",
        lambda broker, names: asked.append(len(names)) or original(broker, names),
    )

    first = page_of(replication)
    second = page_of(replication, after=first.next_after)

    ids = [shown.changes[0].new["id"] for shown in (*first.letters, *second.letters)]
    assert ids == ["20", "30", "40"]
    assert first.letters[0].changes[0].new["w"] == "<b>"
    assert not first.letters[0].is_complete
    assert second.next_after is None
    assert asked == [2, 1]  # a pass over the queue for each page, not for each letter
