"""From the settings of replication tasks to their DAGs.

A task that loads existing rows gets `trempy_<task>_full_load`, one that follows changes `trempy_<task>_cdc`,
`trempy_<task>_validate`, which compares the rows of both sides meanwhile, `trempy_<task>_cutover`, which
says whether the target may take over, and `trempy_<task>_monitor`, which fails when the task needs attention.
Every task has `trempy_<task>_maintenance`, a run of which does one thing that somebody asks for.
Parsing connects to nothing: it reads Variables, and a worker that runs a task of one DAG reads that
replication task's settings only.

One task with broken settings takes nothing from the others: its DAGs are left out here, and the second DAG
file, which calls `raise_settings_errors`, becomes an import error that names the Variable and the field.
It takes a second file because Airflow discards all DAGs of a file that has an error.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import pendulum
from airflow.sdk import DAG, Param, get_parsing_context

from trempy_provider.assets import replicated_tables
from trempy_provider.config.dag_names import (
    CDC,
    CUTOVER,
    FULL_LOAD,
    MAINTENANCE,
    MONITOR,
    VALIDATE,
    dag_id_of,
    task_name_of,
)
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SettingsError, TrempyError
from trempy_provider.hooks.settings import SettingsText, find_all_settings, find_settings
from trempy_provider.operators.announce import TrempyAnnounceOperator
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.cutover import TrempyCutoverOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.maintenance import ACTIONS, SWEEP, TrempyMaintenanceOperator
from trempy_provider.operators.monitor import TrempyMonitorOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.summary import TrempySummaryOperator
from trempy_provider.operators.tables import TrempyTablesOperator
from trempy_provider.operators.validate import TrempyValidateOperator

log = logging.getLogger(__name__)

DefaultArgs: TypeAlias = Mapping[str, Any] | None

EPOCH = pendulum.datetime(2024, 1, 1, tz="UTC")
# An outage is waited out: errors that mend by themselves are tried again until they have.
RETRIES: dict[str, Any] = {
    "retries": 10_000,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=1),
}


def build_dags(
    namespace: MutableMapping[str, Any] | None = None, *, default_args: DefaultArgs = None
) -> dict[str, DAG]:
    """Return the DAGs of all replication tasks by id, and put them into `namespace` (a file's globals()).

    `default_args` are given to all tasks of all DAGs, `on_failure_callback` for one, beside the owner.

    In a worker, only the DAG that is about to run; its broken settings raise there.
    """
    dag_id = get_parsing_context().dag_id
    tasks = _valid_tasks() if dag_id is None else _task_of_dag(dag_id)
    with _nothing_collected():
        dags = {dag.dag_id: dag for task in tasks for dag in dags_of(task, default_args=default_args)}
    if namespace is not None:
        namespace.update(dags)
    return dags


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Keep Python from looking for garbage meanwhile: of thousands of DAGs and tasks, all stay.

    It would take a fifth of the time of parsing 500 tasks.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def raise_settings_errors() -> None:
    """Raise SettingsError naming every broken task's Variable and fields, if there is one.

    Does nothing in a worker: what runs there is another file's.
    """
    if get_parsing_context().dag_id is not None:
        return
    errors = [error for _, error in _load_all() if error is not None]
    if errors:
        raise SettingsError("\n".join(str(error) for error in errors))


def dags_of(task: ReplicationTask, *, default_args: DefaultArgs = None) -> Iterator[DAG]:
    """Yield the DAGs of a task; `default_args` are given to all their tasks."""
    if task.loads_fully:
        yield full_load_dag(task, default_args)
    if task.captures_changes:
        yield cdc_dag(task, default_args)
        yield validate_dag(task, default_args)
        yield cutover_dag(task, default_args)
    yield maintenance_dag(task, default_args)
    if task.captures_changes:
        yield monitor_dag(task, default_args)


def full_load_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG that loads existing rows.

    A task that follows changes is loaded table by table, a square of the grid for each: whatever snapshot a
    table is from, its changes since then follow.
    A task that only loads is loaded as a whole, from one snapshot, so that its tables agree with each other.
    """
    reloads = task.full_load.schedule is not None or not task.captures_changes
    dag = DAG(
        dag_id=dag_id_of(task.task_name, FULL_LOAD),
        schedule=task.full_load.schedule,
        params={
            "reload": Param(reloads, type="boolean", description="Load again what is loaded already."),
            "tables": Param(
                [],
                type="array",
                items={"type": "string"},
                description="The tables to load, as schema.table; none means all.",
            ),
        },
        **_common(task, "full load", default_args),
    )
    with dag:
        tables = _tables(task)
        _setup(task) >> tables >> _full_load(task, tables) >> _summary(task)
    return dag


def cdc_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG that follows changes: one lease after the other, capture beside apply.

    When one of the two needs a person, the other goes on until the lease ends: capture keeps the source free
    of WAL, apply empties the queue, and clearing the failed task takes it up again.
    A lease in which one failed has failed, and after a few of those the DAG pauses itself.
    (`fail_fast` would not do: when setup fails it skips the others, and a run of skipped tasks succeeds.)
    Changes of tables that are still being loaded are held back by apply.
    """
    dag = DAG(
        dag_id=dag_id_of(task.task_name, CDC),
        schedule="@continuous",
        max_consecutive_failed_dag_runs=task.cdc.max_consecutive_failures,
        **_common(task, "CDC", default_args),
    )
    with dag:
        lease: dict[str, Any] = {
            "task_name": task.task_name,
            "lease_started_at": "{{ dag_run.start_date.isoformat() }}",
        }
        capture = TrempyCaptureOperator(task_id="capture", **lease, **RETRIES)
        apply = TrempyApplyOperator(task_id="apply", **lease, **RETRIES)
        _setup(task) >> [capture, apply]
    return dag


def validate_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG that compares the rows of both sides; it fails while some differ."""
    options = task.task.validation_settings
    dag = DAG(
        dag_id=dag_id_of(task.task_name, VALIDATE),
        schedule=options.schedule,
        params={
            "repair": Param(
                options.repair,
                type="boolean",
                description="Write the rows that differ as the source has them.",
            ),
            "tables": Param(
                [],
                type="array",
                items={"type": "string"},
                description="The tables to compare, as schema.table; none means all.",
            ),
        },
        **_common(task, "validation", default_args),
    )
    with dag:
        TrempyValidateOperator(
            task_id="validate",
            task_name=task.task_name,
            choice_param="tables",
            repair="{{ params.repair }}",
            **RETRIES,
        )
    return dag


def cutover_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG that says "safe to switch", or fails with the reasons why not."""
    dag = DAG(
        dag_id=dag_id_of(task.task_name, CUTOVER),
        schedule=None,
        **_common(task, "cutover", default_args),
    )
    with dag:
        TrempyCutoverOperator(task_id="cutover", task_name=task.task_name)
    return dag


def monitor_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG that announces changed tables, and fails when the task needs attention.

    Neither waits for the other.
    An announcement is tried again, since only the same announcer tells again what has got lost with a worker;
    the monitor is not: its next run comes soon.
    """
    dag = DAG(
        dag_id=dag_id_of(task.task_name, MONITOR),
        schedule=task.task.monitor_settings.schedule,
        **_common(task, "monitor", default_args),
    )
    with dag:
        TrempyAnnounceOperator(
            task_id="announce", task_name=task.task_name, retries=3, retry_delay=timedelta(seconds=10)
        )
        TrempyMonitorOperator(task_id="monitor", task_name=task.task_name)
    return dag


def maintenance_dag(task: ReplicationTask, default_args: DefaultArgs = None) -> DAG:
    """Return the DAG in which a run does one thing to the task: its param `action` says what.

    It is not paused at first: nothing happens in it that nobody has asked for.
    """
    names: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    dag = DAG(
        dag_id=dag_id_of(task.task_name, MAINTENANCE),
        schedule=None,
        is_paused_upon_creation=False,
        params={
            "action": Param(SWEEP, type="string", enum=list(ACTIONS), description="What to do to the task."),
            "message_ids": Param(
                [], **names, description="The dead letters to replay (none means all) or to discard."
            ),
            "remove": Param(
                [], **names, description="Unknown tasks whose slots, publications and queues a sweep removes."
            ),
            "confirm": Param(
                "", type="string", description="The name of the task, typed, to let it be torn down."
            ),
        },
        **_common(task, "maintenance", default_args),
    )
    with dag:
        TrempyMaintenanceOperator(
            task_id="maintenance",
            task_name=task.task_name,
            action="{{ params.action }}",
            retries=3,
            retry_delay=timedelta(seconds=10),
        )
    return dag


def _setup(task: ReplicationTask) -> TrempySetupOperator:
    return TrempySetupOperator(task_id="setup", task_name=task.task_name, **RETRIES)


def _tables(task: ReplicationTask) -> TrempyTablesOperator:
    return TrempyTablesOperator(
        task_id="tables",
        task_name=task.task_name,
        choice_param="tables",
        one_by_one=task.captures_changes,
        **RETRIES,
    )


def _full_load(task: ReplicationTask, tables: TrempyTablesOperator) -> Any:
    load: dict[str, Any] = {
        "task_id": "full_load",
        "task_name": task.task_name,
        "reload": "{{ params.reload }}",
        **RETRIES,
    }
    listed: Any = tables.output  # Airflow puts the list in its place before the task runs
    if not tables.one_by_one:
        return TrempyFullLoadOperator(**load, tables=listed)
    return TrempyFullLoadOperator.partial(
        max_active_tis_per_dagrun=task.full_load.parallel_streams,
        map_index_template="{{ task.tables | join(', ') }}",
        outlets=[replicated_tables(task.task_name)],
        **load,
    ).expand(tables=listed)


def _summary(task: ReplicationTask) -> TrempySummaryOperator:
    return TrempySummaryOperator(
        task_id="summary", task_name=task.task_name, trigger_rule="none_failed", **RETRIES
    )


def _common(task: ReplicationTask, what: str, default_args: DefaultArgs) -> dict[str, Any]:
    return {
        "description": task.task.description or f"TREMpy {what} of {task.task_name}",
        "doc_md": _doc(task),
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["trempy", task.task_name, str(task.replication_type.value)],
        "default_args": {"owner": task.task.owner, **(default_args or {})},
    }


def _doc(task: ReplicationTask) -> str:
    """Summarise the settings in Markdown."""
    rows = [
        ("Type", task.replication_type.value),
        ("Source", f"connection `{task.source_conn_id}`"),
        ("Target", f"connection `{task.target_conn_id}`"),
    ]
    if task.has_metadata_database:
        rows.append(("Metadata", f"connection `{task.metadata_conn_id}`"))
    if task.loads_fully:
        rows.append(("Full loads", task.full_load.schedule or "when started"))
    if task.captures_changes:
        rows += [
            ("Broker", f"connection `{task.broker_conn_id}`"),
            ("Apply mode", task.cdc.mode.value),
            ("Lease", f"{task.cdc.run_duration_seconds} s"),
        ]
    names = [f"`{table.schema_name}.{table.table_name}`" for table in task.tables]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    rows.append(("Tables", ", ".join(names[:20]) + more))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"{task.task.description}\n\n| Replication task | {task.task_name} |\n|---|---|\n{table}\n"


def _valid_tasks() -> Iterator[ReplicationTask]:
    for task, error in _load_all():
        if task is not None:
            yield task
        else:
            log.error("No DAG is made: %s", error)


def _load_all() -> Iterator[tuple[ReplicationTask | None, TrempyError | None]]:
    """Yield each task, or the error that stands in its place."""
    for settings in find_all_settings():
        yield _load(settings)


def _load(settings: SettingsText | SettingsError) -> tuple[ReplicationTask | None, TrempyError | None]:
    if isinstance(settings, SettingsError):
        return None, settings
    try:
        return settings.load(), None
    except TrempyError as error:
        return None, error


def _task_of_dag(dag_id: str) -> Iterator[ReplicationTask]:
    """Yield the one task whose DAG it is; nothing for a DAG that is not of this factory."""
    task_name = task_name_of(dag_id)
    if task_name is not None:
        yield find_settings(task_name).load()
