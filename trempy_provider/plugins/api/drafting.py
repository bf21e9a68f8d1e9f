"""What the assistant does for a person at the page: draft settings, and prove them on a sample of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from trempy_provider.assistant.advisor import AUTHOR, Grounds
from trempy_provider.assistant.draft import Draft, Frame
from trempy_provider.assistant.history import History
from trempy_provider.assistant.model import DEFAULT_MODEL, ModelDrafter
from trempy_provider.assistant.suggest import read_grounds, suggest
from trempy_provider.config.differences import find_differences
from trempy_provider.config.loader import task_json_schema
from trempy_provider.config.options import TaskOptions
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.hooks.language_models import open_agent_factory
from trempy_provider.hooks.postgres import open_endpoint, open_target
from trempy_provider.jobs.dry_run import SHOWN_ROWS, DryRunReport, dry_run
from trempy_provider.plugins.api.bounded_endpoint import BoundedEndpoint
from trempy_provider.plugins.api.long_calls import IsUnwanted
from trempy_provider.plugins.api.presentation import describe_problems

MODEL_SECONDS = 100.0
VALUE_LENGTH = 200
_NO_NAME = "suggest"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be drafted, and what the draft may tell of: `hidden_tasks` are none of it.

    `model_conn` is "" where the advisor is to draft.
    """

    description: str
    frame: Frame
    model_conn: str = ""
    allow_values: bool = False
    tasks: tuple[ReplicationTask, ...] = ()
    hidden_tasks: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    def connection(self, part: str) -> str:
        """Return the connection of the source, target, broker or metadata."""
        return connection_of(self.frame.connections or {}, part)

    @property
    def metadata_connection(self) -> str | None:
        """Return the connection of the metadata database, None where the target has all metadata."""
        return (self.frame.connections or {}).get("metadata_conn_id")


def connection_of(options: Mapping[str, Any], part: str) -> str:
    """Return the connection that a task's options name for a part, or the default."""
    key = f"{part}_conn_id"
    return str(options.get(key) or TaskOptions.model_fields[key].default)


def make_draft(order: Order, is_unwanted: IsUnwanted) -> dict[str, Any]:
    """Return a draft, who made it, why each setting is as it is, and what it would change."""
    drafter, warnings = _drafter(order.model_conn, is_unwanted)
    draft = suggest(
        order.description, _grounds(order), drafter=drafter, warnings=(*order.warnings, *warnings)
    )
    return _describe(draft, present=order.frame.present)


def prove(task: ReplicationTask, is_unwanted: IsUnwanted, *, shows_rows: bool) -> dict[str, Any]:
    """Return what a dry run makes of a task's settings; values of rows only when they are asked for."""
    endpoints = endpoints_of(task)
    report = dry_run(
        task,
        source=BoundedEndpoint(endpoints.source),
        target=BoundedEndpoint(endpoints.target),
        broker=endpoints.broker if task.captures_changes else None,
        shown_rows=SHOWN_ROWS if shows_rows else 0,
        is_unwanted=is_unwanted,
    )
    return {
        "passed": report.error is None,
        "problems": [str(finding) for finding in report.preflight.findings],
        "tables": _tables(report),
    }


def _grounds(order: Order) -> Grounds:
    name = order.frame.task_name or _NO_NAME
    source = BoundedEndpoint(open_endpoint(order.connection("source"), task_name=name, role="source"))
    target_conn = order.connection("target")
    target = BoundedEndpoint(
        open_target(target_conn, metadata_conn_id=order.metadata_connection or target_conn, task_name=name)
    )
    grounds = read_grounds(
        source,
        target=target,
        settings=order.tasks,
        frame=order.frame,
        allow_values=order.allow_values,
    )
    shown = (task for task in grounds.history.tasks if task.task_name not in order.hidden_tasks)
    taken = grounds.frame.taken_names | (order.hidden_tasks - {order.frame.task_name})
    frame = replace(grounds.frame, taken_names=frozenset(taken))
    return replace(grounds, history=History(tuple(shown)), frame=frame)


def _drafter(conn_id: str, is_unwanted: IsUnwanted) -> tuple[ModelDrafter | None, tuple[str, ...]]:
    """Return the model's drafter; where there is none, why the advisor drafts."""
    if not conn_id:
        return None, ()
    try:
        create_agent, name = open_agent_factory(conn_id, default_model=DEFAULT_MODEL)
    except ConfigurationError as error:
        return None, (f"{error}: this is the advisor's draft.",)
    drafter = ModelDrafter(create_agent, name, timeout_seconds=MODEL_SECONDS, is_unwanted=is_unwanted)
    return drafter, ()


def _describe(draft: Draft, *, present: Mapping[str, Any] | None) -> dict[str, Any]:
    settings = dict(draft.settings)
    differences = find_differences({} if present is None else dict(present), settings)
    return {
        "by": "advisor" if draft.author == AUTHOR else "model",
        "author": draft.author,
        "settings": settings,
        "text": draft.json_text,
        "schema": task_json_schema(),
        "reasons": [asdict(reason) for reason in draft.reasons],
        "warnings": list(draft.warnings),
        "diff": [asdict(difference) for difference in differences],
        "problems": describe_problems(draft.problems),
    }


def _tables(report: DryRunReport) -> list[dict[str, Any]]:
    tables = [table.as_dict() for table in report.tables]
    for table in tables:
        for moment in {"before", "after"} & table.keys():
            table[moment] = [_shortened(row) for row in table[moment]]
    return tables


def _shortened(row: Mapping[str, str | None]) -> dict[str, str | None]:
    return {
        name: value if value is None or len(value) <= VALUE_LENGTH else f"{value[: VALUE_LENGTH - 1]}…"
        for name, value in row.items()
    }
