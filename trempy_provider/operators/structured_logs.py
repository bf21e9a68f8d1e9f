"""Let the fields of this package's log records show in Airflow's structured logs.

Airflow formats what `logging` is given with structlog, which leaves out a record's `extra` unless it is told
the names.
"""

from __future__ import annotations

import logging

import structlog

FIELDS = ("replication_task", "transaction_id", "commit_lsn", "message_id")


def show_fields() -> None:
    """Add the fields to the handlers of this process; safe to call again."""
    for handler in logging.getLogger().handlers:
        formatter = handler.formatter
        if not isinstance(formatter, structlog.stdlib.ProcessorFormatter):
            continue
        chain = tuple(formatter.foreign_pre_chain or ())
        if not any(isinstance(step, structlog.stdlib.ExtraAdder) for step in chain):
            formatter.foreign_pre_chain = (structlog.stdlib.ExtraAdder(FIELDS), *chain)
