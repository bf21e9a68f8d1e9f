"""The masks of a task: which connections hold their salts."""

from __future__ import annotations

from trempy_provider.config.operations import Hash
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import ModifyColumnValue


def salt_connections(task: ReplicationTask) -> tuple[str, ...]:
    """Return the connections whose passwords are salts, each once."""
    contracts = (
        entry.settings.contract
        for entry in task.transformations
        if isinstance(entry.settings, ModifyColumnValue)
    )
    return tuple(dict.fromkeys(c.salt_conn_id for c in contracts if isinstance(c, Hash)))
