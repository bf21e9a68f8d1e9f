"""What operators that write to the target tell Airflow of its tables: asset events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from trempy_provider.assets import asset_of, replicated_tables
from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.jobs.announce import announce
from trempy_provider.operators.base import TrempyOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AnnouncingOperator(TrempyOperator):
    """Emit an asset event for each table of the target that has changed, when the task succeeds.

    The alias `trempy_<task>` is among the outlets: Airflow takes the events of assets that are found at run
    time only through one.
    """

    def __init__(self, *, task_name: str = "", settings: Any = None, **kwargs: Any) -> None:
        super().__init__(task_name=task_name, settings=settings, **kwargs)
        name = task_name or _name_in(settings)
        if name and "{" not in name:
            self._add_outlet(name)

    def announce(
        self,
        context: Context,
        task: ReplicationTask,
        *,
        loads_only: bool = False,
        tables: Collection[str] | None = None,
    ) -> int:
        """Hand the news to Airflow, which emits them once this task has succeeded; return how many.

        Where no task instance runs, nobody takes events, and the news stay news.
        """
        outlet_events = context.get("outlet_events")
        if outlet_events is None:
            return 0
        endpoints = endpoints_of(task)
        with self.guarded(endpoints):
            found = announce(
                task,
                target=endpoints.target,
                announcer=_name_of(context["ti"]),
                loads_only=loads_only,
                tables=tables,
            )
        self._add_outlet(task.task_name)
        events = outlet_events[replicated_tables(task.task_name)]
        for table, facts in found.items():
            events.add(asset_of(task.task_name, table), extra=facts)
        self.log.info("Asset events for %s tables.", len(found))
        return len(found)

    def _add_outlet(self, task_name: str) -> None:
        alias = replicated_tables(task_name)
        if alias not in self.outlets:
            self.outlets = [*self.outlets, alias]


def _name_of(instance: Any) -> str:
    """Return a name that a task instance keeps when it is tried again."""
    return f"{instance.dag_id}/{instance.run_id}/{instance.task_id}/{instance.map_index}"


def _name_in(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return ""
    part = settings.get("task")
    name = part.get("task_name") if isinstance(part, Mapping) else None
    return name if isinstance(name, str) else ""
