"""The ids of the DAGs that a replication task has, by what they do."""

from __future__ import annotations

from trempy_provider.config.task import ReplicationTask

PREFIX = "trempy_"
FULL_LOAD = "full_load"
CDC = "cdc"
VALIDATE = "validate"
CUTOVER = "cutover"
MONITOR = "monitor"
MAINTENANCE = "maintenance"
PURPOSES = (FULL_LOAD, CDC, VALIDATE, CUTOVER, MONITOR, MAINTENANCE)


def dag_id_of(task_name: str, purpose: str) -> str:
    """Return the id of a task's DAG."""
    return f"{PREFIX}{task_name}_{purpose}"


def dag_ids_of(task: ReplicationTask) -> dict[str, str]:
    """Return the ids of the DAGs that a task has, by purpose."""
    followed = (CDC, VALIDATE, CUTOVER, MONITOR) if task.captures_changes else ()
    loaded = (FULL_LOAD,) if task.loads_fully else ()
    return {
        purpose: dag_id_of(task.task_name, purpose)
        for purpose in PURPOSES
        if purpose in {*followed, *loaded, MAINTENANCE}
    }


def all_dag_ids_of(task_name: str) -> dict[str, str]:
    """Return the ids of all DAGs that a task of this name may have, by purpose."""
    return {purpose: dag_id_of(task_name, purpose) for purpose in PURPOSES}


def task_name_of(dag_id: str) -> str | None:
    """Return the name of the task whose DAG it may be, None for any other DAG."""
    for purpose in PURPOSES:
        suffix = f"_{purpose}"
        if dag_id.startswith(PREFIX) and dag_id.endswith(suffix):
            return dag_id[len(PREFIX) : -len(suffix)] or None
    return None
