"""Where a new slot begins: past what PostgreSQL decodes wrongly while a slot is new.

While it builds a slot's first snapshot of the catalog, PostgreSQL waits for two rounds of transactions.
One that changes the catalog (DDL, TRUNCATE) and commits in the first round is left out of that snapshot, if
an older one is still open (see SnapBuildFindSnapshot in snapbuild.c; 15 to 18 are alike).
Until the catalog changes again, changes are decoded with one that is too old: the source fails with "could
not map filenode … to relation OID" at every start, or sends rows without a new column.

So setup changes the catalog once more, waits until the transactions have ended that began before, and lets
the task begin after them; the first full load has what they did.
The slot is moved there, but a crash of its server may set it back: readers say where they begin.
"""

from __future__ import annotations

import time

from trempy_provider.postgres.publication import rewrite_publication
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.slot import creation_blocked
from trempy_provider.replication.lsn import Lsn

_POLL_SECONDS = 0.02


def find_start(session: Session, slot_name: str, *, publication_name: str, timeout_seconds: float) -> Lsn:
    """Move a new slot to where its changes are decoded rightly, and return where it stands.

    Raise SlotCreationBlockedError when transactions stay open longer than the timeout.
    """
    deadline = time.monotonic() + timeout_seconds
    rewrite_publication(session, publication_name)
    transaction_id = session.fetch_value(static_sql("next_transaction_id"))
    _wait(session, "have_ended_before", {"transaction_id": transaction_id}, deadline, timeout_seconds)
    position = session.fetch_value(static_sql("wal_end"))
    _wait(session, "is_on_disk", {"lsn": position}, deadline, timeout_seconds)
    return Lsn.parse(session.fetch_value(static_sql("advance_slot"), {"name": slot_name, "lsn": position}))


def _wait(
    session: Session, query: str, parameters: dict[str, str], deadline: float, timeout_seconds: float
) -> None:
    while not session.fetch_value(static_sql(query), parameters):
        if time.monotonic() > deadline:
            raise creation_blocked(session, timeout_seconds)
        time.sleep(_POLL_SECONDS)
