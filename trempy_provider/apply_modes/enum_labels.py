"""Labels that enums of the source have got, before rows come that have them.

A new label can be used only after the transaction that adds it; so it is added in one of its own, before the
batch that brings it.
"""

from __future__ import annotations

from collections.abc import Iterable

from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, SchemaChangeError, TargetError
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_facts import SourceFacts, read_facts_payload
from trempy_provider.postgres.tables import quote_name
from trempy_provider.postgres.types import TypeGap, add_labels_sql, add_missing_labels, find_type_gaps


class EnumLabels:
    """Compare the labels told by batches with the target's; one per session of apply."""

    def __init__(self, session: Session, task: ReplicationTask) -> None:
        self._session = session
        self._policy = task.cdc.schema_evolution
        self._seen: dict[int, bytes] = {}

    def prepare(self, payloads: Iterable[bytes]) -> None:
        """Let the target's enums have the labels that rows may have, by facts of tables that were told.

        Call it outside a transaction.
        Raise SchemaChangeError naming type and column when somebody must add them.
        """
        if self._policy is SchemaEvolution.IGNORE:
            return
        for payload in payloads:
            self._prepare(payload)

    def _prepare(self, payload: bytes) -> None:
        facts = read_facts_payload(payload)
        if facts is None or self._seen.get(facts.oid) == payload:
            return
        enums = [entry for entry in facts.types if entry.kind == "e"]
        gaps = [gap for gap in find_type_gaps(self._session, enums) if gap.missing_labels] if enums else []
        if gaps and self._policy is SchemaEvolution.STOP:
            raise _missing(facts, gaps[0], "has not")
        for gap in gaps:
            self._add(facts, gap)
        self._seen[facts.oid] = payload

    def _add(self, facts: SourceFacts, gap: TypeGap) -> None:
        try:
            add_missing_labels(self._session, [gap.type])
        except TargetError as error:
            if error.policy is RetryPolicy.BY_ITSELF:
                raise
            raise _missing(facts, gap, f"cannot follow ({error})") from error


def _missing(facts: SourceFacts, gap: TypeGap, what: str) -> SchemaChangeError:
    name = str(gap.type.name)
    columns = ", ".join(
        quote_name(entry.column.name) for entry in facts.columns if name in entry.column.type_name
    )
    labels = ", ".join(map(repr, gap.missing_labels))
    return SchemaChangeError(
        f"source table {facts.name} has changed: column {columns} of type {name} has got the labels "
        f"{labels}, and the target {what}",
        hint=f"On the target: {add_labels_sql(gap)}",
    )
