"""A task whose target refuses rows with v = 13 and whose policy stops at them: what fails is a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.databases import DatabasePair
from tests.support.replication import Replication
from trempy_provider.broker.base import Delivery
from trempy_provider.jobs.dead_letters import SettleReport, list_dead_letters, replay_dead_letters

TABLES = ("public.t", "public.u")


def options(mode: str = "default", *, on_dead_letter: str = "continue", **cdc: Any) -> dict[str, Any]:
    return {
        "task": {"cdc_settings": {"mode": mode, "on_dead_letter": on_dead_letter, **cdc}},
        "error_handling": {"stop_if_insert_error": True, "stop_if_upsert_error": True},
    }


def make_tables(databases: DatabasePair) -> None:
    databases.source_admin.execute(
        "create table public.t (id int primary key, v int, w text);"
        "create table public.u (id int primary key, v int);"
        "insert into public.t select g, 0, 'w' from generate_series(1, 9) g; insert into public.u values (1, 0)"
    )


def refuse(databases: DatabasePair) -> None:
    databases.target_admin.execute("alter table public.t add constraint lucky check (v <> 13)")


def mend(databases: DatabasePair) -> None:
    databases.target_admin.execute("alter table public.t drop constraint lucky")


def letters(replication: Replication) -> list[Delivery]:
    """Return the messages in the dead-letter queue, in the order of commits."""
    found = list(replication.broker.read_dead_letters())
    return sorted(found, key=lambda letter: str(letter.headers["last_lsn"]))


def listed(replication: Replication) -> list[tuple[str, str]]:
    """Return names and states of the letters about which somebody has to decide."""
    found = list_dead_letters(replication.task, target=replication.target, broker=replication.broker)
    return [(letter.message_id, str(letter.state)) for letter in found.letters]


def replay(replication: Replication, message_ids: Sequence[str] | None = None) -> SettleReport:
    return replay_dead_letters(
        replication.task, target=replication.target, broker=replication.broker, message_ids=message_ids
    )
