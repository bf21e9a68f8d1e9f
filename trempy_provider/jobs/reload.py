"""Reload: load tables again.

Without names the task starts from zero: slot, queues, held changes and checkpoint begin anew, then every
table is loaded.
With names only those tables are loaded again; capture and apply may go on meanwhile, and the other tables
are not touched.
In both cases readers see a table's old rows until the new ones replace them.
"""

from __future__ import annotations

from collections.abc import Sequence

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.jobs.full_load import FullLoadReport, full_load
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.progress import ProgressListener
from trempy_provider.jobs.setup import setup
from trempy_provider.postgres.session import Endpoint


def reload(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None = None,
    tables: Sequence[str] | None = None,
    stop: StopSignal | None = None,
    progress: ProgressListener | None = None,
) -> FullLoadReport:
    """Load the named tables again, or everything from zero.

    Stopped or killed after a start from zero, `full_load` goes on with the tables that are not ready.
    Raise ConfigurationError when a start from zero would leave old messages in the broker's queues; otherwise
    what `setup` and `full_load` raise.
    """
    if tables is None:
        if task.captures_changes and broker is None:
            raise ConfigurationError(
                f"task {task.task_name} cannot start from zero without its broker: queues hold old changes",
                hint="Give the broker, or name the tables to load again.",
            )
        setup(task, source=source, target=target, broker=broker, restart=True)
    return full_load(
        task,
        source=source,
        target=target,
        tables=tables,
        reload=tables is not None,
        stop=stop,
        progress=progress,
    )
