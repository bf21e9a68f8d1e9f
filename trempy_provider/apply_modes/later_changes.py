"""Note which rows change after a batch was passed over: those must not be replayed any more.

Everything that is applied after a dead letter was passed over is looked at, under the checkpoint's lock and
in the transaction that applies it, so nothing escapes: a digest of each row before and after its change is
compared with those kept for the dead letter.
What is not certain counts as a change of the whole table: a truncate, other columns that tell rows apart,
a table that cannot be looked at.

While no dead letter waits for its replay, none of this is done.
"""

from __future__ import annotations

from collections.abc import Iterable

from trempy_provider.apply_modes.applier import Applier
from trempy_provider.apply_modes.row_identity import RowIdentity
from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication.changes import Change, Operation, Transaction
from trempy_provider.replication.lsn import Lsn


class LaterChanges:
    """Look at the transactions that are applied within one transaction of the target."""

    def __init__(self, session: Session, task_name: str, applier: Applier) -> None:
        self._session = session
        self._task_name = task_name
        self._applier = applier
        self._watched: frozenset[int] = frozenset()

    def begin(self, *, passed_over_count: int) -> None:
        """Start a target transaction: read which tables dead letters are about."""
        self._watched = frozenset()
        if passed_over_count:
            rows = self._session.fetch_all(static_sql("watched_tables"), {"task_name": self._task_name})
            self._watched = frozenset(oid for (oid,) in rows)

    @property
    def is_watching(self) -> bool:
        """Tell whether there is anything to look for."""
        return bool(self._watched)

    def note(self, transactions: Iterable[Transaction]) -> None:
        """Note the changes of transactions that are applied."""
        if not self._watched:
            return
        for transaction in transactions:
            self._note(transaction.changes, transaction.commit_lsn)

    def _note(self, changes: Iterable[Change], commit_lsn: Lsn) -> None:
        digests: dict[tuple[int, RowIdentity | None], set[bytes]] = {}
        for change in changes:
            for oid in self._watched.intersection(shape.relation.oid for shape in change.shapes):
                identity = self._identity(change)
                seen = digests.setdefault((oid, identity), set())
                if identity is not None and not identity.commutes(change):
                    seen.update(identity.digests(change))
        for (oid, identity), found in digests.items():
            self._note_table(oid, identity, commit_lsn)
            self._note_rows(oid, found, commit_lsn)

    def _identity(self, change: Change) -> RowIdentity | None:
        """Return what tells the row apart, None where that cannot be said."""
        identity = _identity(self._applier, change)
        return identity if identity is not None and identity.is_exact else None

    def _note_table(self, oid: int, identity: RowIdentity | None, commit_lsn: Lsn) -> None:
        columns = None if identity is None else list(identity.columns)
        parameters = {**self._parameters(oid, commit_lsn), "identity_columns": columns}
        self._session.execute(static_sql("note_changed_table"), parameters)

    def _note_rows(self, oid: int, digests: set[bytes], commit_lsn: Lsn) -> None:
        if digests:
            parameters = {**self._parameters(oid, commit_lsn), "digests": sorted(digests)}
            self._session.execute(static_sql("note_changed_rows"), parameters)

    def _parameters(self, oid: int, commit_lsn: Lsn) -> dict[str, object]:
        return {"task_name": self._task_name, "source_oid": oid, "commit_lsn": str(commit_lsn)}


def keep_identities(
    session: Session, dead_letter_id: int, applier: Applier, transactions: Iterable[Transaction]
) -> None:
    """Keep which rows a dead letter is about that is passed over, for later changes to be compared with."""
    digests: dict[tuple[int, RowIdentity | None], set[bytes]] = {}
    for transaction in transactions:
        for change in transaction.changes:
            for shape in change.shapes:
                identity = _identity(applier, change)
                seen = digests.setdefault((shape.relation.oid, identity), set())
                if identity is not None:
                    seen.update(identity.digests(change))
    for (oid, identity), found in digests.items():
        _keep_table(session, dead_letter_id, oid, identity)
        parameters = {"dead_letter_id": dead_letter_id, "source_oid": oid, "digests": sorted(found)}
        session.execute(static_sql("keep_letter_rows"), parameters)


def _identity(applier: Applier, change: Change) -> RowIdentity | None:
    """Return what tells the row apart, None where the target cannot be asked: it may have to follow first."""
    if change.operation is Operation.TRUNCATE:
        return None
    try:
        return applier.identity_of(change)
    except TargetSchemaError:
        return None


def _keep_table(session: Session, dead_letter_id: int, oid: int, identity: RowIdentity | None) -> None:
    session.execute(
        static_sql("keep_letter_table"),
        {
            "dead_letter_id": dead_letter_id,
            "source_oid": oid,
            "identity_columns": [] if identity is None else list(identity.columns),
            "is_exact": identity is not None and identity.is_exact,
        },
    )
