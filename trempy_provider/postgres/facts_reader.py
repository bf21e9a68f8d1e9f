"""The source's catalog beside its stream: a session that is opened when the stream describes a table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.fact_masks import FactMasks
from trempy_provider.postgres.salts import read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.source_catalog import read_source_facts
from trempy_provider.postgres.source_facts import SourceFacts, facts_payload
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.postgres.types import UserType, have_other_labels
from trempy_provider.replication.batches import Batch

_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.005


class FactsReader:
    """Read what the catalog says of tables as the stream describes them."""

    def __init__(self, source: Endpoint, task: ReplicationTask) -> None:
        self._source = source
        self._task = task
        self._masks = FactMasks(task)
        self._session: Session | None = None
        self._enums: dict[int, tuple[UserType, ...]] = {}

    def mask(self, known_as: Mapping[int, QualifiedName]) -> None:
        """Mask what is told of tables, which the settings know by these names."""
        self._masks = FactMasks(self._task, known_as, read_salts(self._task, self._source))

    def read(self, oid: int, xid: int) -> bytes:
        """Return the facts of a table described in a committed transaction, as a payload.

        The walsender may send it a moment before other sessions see what it did.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        facts = self._read(oid, xid)
        while not facts.includes_transaction and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            facts = self._read(oid, xid)
        return facts_payload(facts)

    def with_new_labels(self, batch: Batch) -> Batch:
        """Return a batch with the facts, as they are now, of its tables whose enums have got new labels.

        A label that a row of the batch has is committed: it is among those read now.
        """
        if not self._enums:
            return batch
        oids = {int.from_bytes(payload[1:5], "big") for payload in batch.payloads if payload[:1] == b"R"}
        known = [(oid, self._enums[oid]) for oid in sorted(oids & self._enums.keys())]
        changed = [oid for oid, enums in known if have_other_labels(self.session(), enums)]
        if not changed:
            return batch
        facts = [facts_payload(self._read_now(oid)) for oid in changed]
        return replace(batch, payloads=(*batch.payloads, *facts))

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()

    def _read_now(self, oid: int, xid: int | None = None) -> SourceFacts:
        return read_source_facts(self.session(), self._task, oid, xid=xid, masks=self._masks)

    def _read(self, oid: int, xid: int) -> SourceFacts:
        facts = self._read_now(oid, xid)
        self._note_enums(facts)
        return facts

    def _note_enums(self, facts: SourceFacts) -> None:
        """Remember the labels told with the table's description."""
        enums = tuple(entry for entry in facts.types if entry.kind == "e")
        if enums:
            self._enums[facts.oid] = enums
        else:
            self._enums.pop(facts.oid, None)

    def session(self) -> Session:
        """Return the session with the source."""
        if self._session is None or self._session.closed:
            self._session = self._source.connect("capture")
        return self._session
