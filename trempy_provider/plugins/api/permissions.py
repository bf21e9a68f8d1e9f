"""Which actions there are, the DAG that each of them starts, and whether a user may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trempy_provider.config.dag_names import CDC, FULL_LOAD, MAINTENANCE, VALIDATE
from trempy_provider.hooks.settings import task_variable_of
from trempy_provider.plugins.api.airflow_access import User, may_change_dag, may_trigger_dag, may_use_variable
from trempy_provider.plugins.api.tasks import KnownTask


@dataclass(frozen=True, slots=True)
class Action:
    """What an action starts a run of, and which other DAGs it pauses or lets run."""

    purpose: str
    changes: tuple[str, ...] = ()  # those of the task's DAGs that are paused, or let run
    follows: bool = False  # makes sense for tasks that follow changes only


ACTIONS: Mapping[str, Action] = {
    "full_load": Action(FULL_LOAD),
    "reload_tables": Action(FULL_LOAD),
    "pause": Action(MAINTENANCE, changes=(CDC,), follows=True),
    "resume": Action(MAINTENANCE, changes=(CDC,), follows=True),
    "refresh_tables": Action(MAINTENANCE),
    "replay_dead_letters": Action(MAINTENANCE, follows=True),
    "discard_dead_letters": Action(MAINTENANCE, follows=True),
    "validate": Action(VALIDATE),
    "sync_sequences": Action(MAINTENANCE),
    "tear_down": Action(MAINTENANCE, changes=(CDC, FULL_LOAD)),
}


def may_act(user: User, known: KnownTask, action: Action) -> bool:
    """Tell whether the user may start the action; nobody may where the task has no such DAG."""
    dag_id = known.dag_ids.get(action.purpose)
    if not is_possible(known, action) or dag_id is None or not may_trigger_dag(user, dag_id):
        return False
    return all(may_change_dag(user, changed) for changed in changed_dags(known, action))


def is_possible(known: KnownTask, action: Action) -> bool:
    """Tell whether the task has what the action is about."""
    return action.purpose in known.dag_ids and (CDC in known.dag_ids or not action.follows)


def changed_dags(known: KnownTask, action: Action) -> list[str]:
    """Return the DAGs that the action pauses, or lets run."""
    return [known.dag_ids[purpose] for purpose in action.changes if purpose in known.dag_ids]


def permissions_of(user: User, known: KnownTask) -> dict[str, bool]:
    """Return what the user may do with a task, by action."""
    key = task_variable_of(known.name)
    is_saved_there = known.settings.variable_key is not None
    return {
        **{name: may_act(user, known, action) for name, action in ACTIONS.items()},
        "view_settings": may_use_variable(user, key, method="GET"),
        "edit_settings": is_saved_there and may_use_variable(user, key, method="PUT"),
    }
