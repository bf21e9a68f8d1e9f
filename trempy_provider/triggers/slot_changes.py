"""Tell Airflow that a publication has changes: an event trigger for asset watchers, for any logical slot.

An event says how far the WAL was looked at and holds no rows: whoever is started by it reads the slot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from pydantic import JsonValue

from trempy_provider.errors import RetryPolicy, SlotInUseError, TrempyError
from trempy_provider.hooks.postgres import open_endpoint
from trempy_provider.postgres.slot_look import SeenPosition, SlotLook, open_slot_look
from trempy_provider.replication.lsn import Lsn
from trempy_provider.triggers.base import open_in_thread, wait_until_readable

LOWEST_INTERVAL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
REST_PER_LOOK = 9.0  # a look decodes the WAL that the slot retains: it takes a tenth of the time at most
STEP_SECONDS = 0.1
HAND_OVER_SECONDS = 5.0  # the triggerer stores an event in Airflow's database every second


class SlotChangesTrigger(BaseEventTrigger):
    """Fire when a logical slot holds new changes of a publication; nothing is consumed.

    Changes of tables outside the publication do not count.
    One event covers everything up to its `lsn`; changes after that fire the next one, whether or not the
    slot was read meanwhile.
    While another process reads the slot, the trigger waits.
    Errors are logged and tried again: a trigger that ends is started again at once.

    The position is kept in the asset's state, so that a triggerer that starts again does not repeat itself.
    It is written some seconds after the event: a triggerer killed in between fires again rather than never.
    Where several assets share one trigger there is no such state, and a restart fires once more for changes
    that still wait in the slot.

    :param slot_name: a logical slot with the plugin pgoutput
    :param publication_name: the publication whose tables count
    :param postgres_conn_id: the connection; its role needs REPLICATION
    :param interval_seconds: how often to look
    """

    def __init__(
        self,
        *,
        slot_name: str,
        publication_name: str,
        postgres_conn_id: str = "trempy_source",
        interval_seconds: float = 10.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slot_name = slot_name
        self.publication_name = publication_name
        self.postgres_conn_id = postgres_conn_id
        self.interval_seconds = max(interval_seconds, LOWEST_INTERVAL_SECONDS)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments: names, never a secret."""
        names = ("slot_name", "publication_name", "postgres_conn_id", "interval_seconds")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each new position, without end."""
        seen = await self._recall()
        while True:
            look = await self._find_changes(seen)
            yield self._event(look)
            seen = look.covered
            await asyncio.sleep(max(self.interval_seconds, HAND_OVER_SECONDS))
            await self._remember(seen)

    async def _find_changes(self, after: SeenPosition | None) -> SlotLook:
        """Look again and again, until there is a change."""
        pause_seconds = self.interval_seconds
        while True:
            started_at = time.monotonic()
            try:
                look = await self._look(after)
            except TrempyError as error:
                pause_seconds = self._pause_after(error, pause_seconds)
            else:
                pause_seconds = self.interval_seconds
                if look is not None and look.found is not None:
                    return look
                after = look.covered if look is not None else after
            await asyncio.sleep(max(pause_seconds, REST_PER_LOOK * (time.monotonic() - started_at)))

    async def _look(self, after: SeenPosition | None) -> SlotLook | None:
        look = await open_in_thread(lambda: self._open(after))
        if look is None:
            return None
        try:
            while not await asyncio.to_thread(look.step):
                await wait_until_readable(look.fileno(), timeout_seconds=STEP_SECONDS)
        finally:
            await asyncio.shield(asyncio.to_thread(look.close))
        return look

    def _open(self, after: SeenPosition | None) -> SlotLook | None:
        return open_slot_look(
            open_endpoint(self.postgres_conn_id, task_name=self.slot_name, role="source"),
            slot_name=self.slot_name,
            publication_name=self.publication_name,
            after=after,
        )

    def _pause_after(self, error: TrempyError, pause_seconds: float) -> float:
        """Report an error, and return how long to wait."""
        if isinstance(error, SlotInUseError):
            self.log.info("%s", error)
            return self.interval_seconds
        pause_seconds = min(pause_seconds * 2, max(LONGEST_PAUSE_SECONDS, self.interval_seconds))
        report = self.log.warning if error.policy is RetryPolicy.BY_ITSELF else self.log.error
        report("%s; looking again in %g s", error.explanation, pause_seconds)
        return pause_seconds

    def _event(self, look: SlotLook) -> TriggerEvent:
        assert look.found is not None
        return TriggerEvent(
            {
                "slot_name": self.slot_name,
                "publication_name": self.publication_name,
                "first_commit_lsn": str(look.found.first_commit_lsn),
                "first_commit_at": look.found.first_commit_at.isoformat(),
                "lsn": str(look.covered.lsn),
            }
        )

    @property
    def _state_key(self) -> str:
        return f"trempy_slot_changes/{self.slot_name}/{self.publication_name}"

    async def _recall(self) -> SeenPosition | None:
        """Return the position of the last event, None where it is not known."""
        if self.asset_state_store is None:
            return None
        try:
            stored = await self.asset_state_store.aget(self._state_key)
        except (AirflowRuntimeError, ValueError) as error:  # ValueError: the trigger is of several assets
            self.log.warning("The position of the last event is not known: %s", error)
            return None
        if not isinstance(stored, dict):
            return None
        return SeenPosition(str(stored["system_identifier"]), Lsn.parse(str(stored["lsn"])))

    async def _remember(self, seen: SeenPosition) -> None:
        if self.asset_state_store is None:
            return
        stored: dict[str, JsonValue] = {"system_identifier": seen.system_identifier, "lsn": str(seen.lsn)}
        try:
            await self.asset_state_store.aset(self._state_key, stored)
        except (AirflowRuntimeError, ValueError) as error:
            self.log.warning("The position of the last event is not kept: %s", error)
