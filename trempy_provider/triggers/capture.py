"""Wait for the next change of a task's tables."""

from __future__ import annotations

import asyncio

from trempy_provider.config.choices import OriginPolicy
from trempy_provider.hooks.postgres import open_endpoint, open_target
from trempy_provider.jobs.watch import SlotWatch, open_slot_watch
from trempy_provider.triggers.base import LeaseTrigger, open_in_thread, wait_until_readable


class CaptureTrigger(LeaseTrigger):
    """Hold the task's slot until a change of its tables arrives; WAL of others only moves the slot on.

    :param slot_name: the task's slot
    :param publication_name: the task's publication
    :param source_conn_id: the source's connection
    :param target_conn_id: the target's connection
    :param metadata_conn_id: where the slot's progress is recorded; the target unless it is given
    :param origin: `none` when changes that the source received by replication do not count
    """

    async def wait_for_work(self) -> None:
        """Return when a change has arrived; the slot is free again then."""
        watch = await open_in_thread(self._open)
        try:
            while not await asyncio.to_thread(watch.look):
                await wait_until_readable(watch.fileno(), timeout_seconds=self.interval_seconds)
        finally:
            await asyncio.shield(asyncio.to_thread(watch.close))

    def _open(self) -> SlotWatch:
        names = self.names
        return open_slot_watch(
            open_endpoint(names["source_conn_id"], task_name=self.task_name, role="source"),
            open_target(
                names["target_conn_id"],
                metadata_conn_id=names.get("metadata_conn_id", names["target_conn_id"]),
                task_name=self.task_name,
            ),
            slot_name=names["slot_name"],
            publication_name=names["publication_name"],
            local_only=names.get("origin") == OriginPolicy.NONE,
            interval_seconds=self.interval_seconds,
        )
