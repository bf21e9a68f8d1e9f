"""Reload: load tables again.

Without names the task starts from zero: slot, queues, held changes and checkpoint begin anew, then every
table is loaded.
That is the way out of a gap too (a lost slot, a source restored from a backup).
With `keep_equal` the rows of both sides are compared first, and only tables that differ are loaded: what has
changed while nobody captured cannot be known otherwise.
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
    keep_equal: bool = False,
    stop: StopSignal | None = None,
    progress: ProgressListener | None = None,
) -> FullLoadReport:
    """Load the named tables again, or everything from zero.

    Stopped or killed after a start from zero, `full_load` goes on with the tables that are not ready.
    Raise ConfigurationError when a start from zero would leave old messages in the broker's queues, or when
    `keep_equal` is asked for with names; otherwise
    what `setup` and `full_load` raise.
    """
    if tables is not None and keep_equal:
        raise ConfigurationError(
            f"task {task.task_name}: tables that are followed cannot be compared while they are",
            hint="Leave out the names, or keep_equal.",
        )
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
        keep_equal=keep_equal,
        stop=stop,
        progress=progress,
    )
