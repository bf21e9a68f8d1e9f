"""The masks of a task, and which connections hold their salts."""

from __future__ import annotations

from collections.abc import Iterator

from trempy_provider.config.operations import Hash, Redact
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import ModifyColumnValue, TableTransformation


def salt_connections(task: ReplicationTask) -> tuple[str, ...]:
    """Return the connections whose passwords are salts, each once."""
    masks = (mask for _, mask in mask_entries(task))
    return tuple(dict.fromkeys(mask.salt_conn_id for mask in masks if isinstance(mask, Hash)))


def mask_entries(task: ReplicationTask) -> Iterator[tuple[TableTransformation, Hash | Redact]]:
    """Yield the transformations that are masks, each with its mask."""
    for entry in task.transformations:
        if isinstance(entry.settings, ModifyColumnValue):
            mask = entry.settings.contract
            if isinstance(mask, Hash | Redact):
                yield entry, mask
