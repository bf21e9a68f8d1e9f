"""Run one command of `airflow trempy`, print its report, and end with the exit codes of `trempy`."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from trempy_provider.assistant.confirmation import confirm
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, PreflightError, TrempyError
from trempy_provider.hooks.endpoints import TaskEndpoints, endpoints_of
from trempy_provider.hooks.settings import find_settings, save_settings
from trempy_provider.jobs.check import CheckReport, check
from trempy_provider.jobs.cutover import CutoverReport, cutover
from trempy_provider.jobs.dead_letters import (
    SettleReport,
    discard_dead_letters,
    list_dead_letters,
    replay_dead_letters,
    show_dead_letter,
)
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.monitor import MonitorReport, monitor
from trempy_provider.jobs.progress import TerminalProgress
from trempy_provider.jobs.prune import prune
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.reload import reload
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.skip import skip
from trempy_provider.jobs.status import status
from trempy_provider.jobs.sweep import sweep
from trempy_provider.jobs.sync_sequences import sync_sequences
from trempy_provider.jobs.task_status import TaskStatus
from trempy_provider.jobs.teardown import teardown
from trempy_provider.jobs.validate import ValidationReport, validate
from trempy_provider.operators.suggest import SuggestTaskOperator

FAILED, WRONG_SETTINGS = 1, 2
_WITH_ERRORS = (CheckReport, TaskStatus, SettleReport, ValidationReport, CutoverReport, MonitorReport)
Run = Callable[[ReplicationTask, TaskEndpoints, Namespace], Any]


def _command(run: Run) -> Callable[[Namespace], None]:
    """Give a job its task and endpoints, print the report as JSON; errors go to stderr in one line."""

    @wraps(run)
    def command(arguments: Namespace) -> None:
        # Airflow's own commands say so too: Variables and Connections are then read from its database.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        try:
            task = find_settings(arguments.task_name).load()
            report = run(task, endpoints_of(task), arguments)
        except TrempyError as error:
            fail(error)
        print(json.dumps(report.as_dict(), indent=2))
        if isinstance(report, _WITH_ERRORS) and report.error is not None:
            fail(report.error)

    return command


def fail(error: TrempyError) -> NoReturn:
    """Print an error in one line, and end with the exit code of `trempy`."""
    print(f"error: {error.explanation}", file=sys.stderr)
    is_usage = isinstance(error, ConfigurationError) and not isinstance(error, PreflightError)
    raise SystemExit(WRONG_SETTINGS if is_usage else FAILED) from error


@_command
def run_check(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run check."""
    return check(task, **endpoints.for_job(task))


@_command
def run_status(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run status."""
    return status(task, **endpoints.for_job(task))


@_command
def run_monitor(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run monitor; what needs attention makes the exit code 1."""
    return monitor(task, **endpoints.for_job(task))


@_command
def run_setup(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Run setup."""
    return setup(task, **endpoints.for_job(task), restart=arguments.restart)


@_command
def run_full_load(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Run a full load, with progress bars on stderr."""
    return full_load(
        task,
        source=endpoints.source,
        target=endpoints.target,
        tables=arguments.tables,
        reload=arguments.reload,
        stop=StopSignal(),
        progress=TerminalProgress(sys.stderr),
    )


@_command
def run_refresh(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run refresh."""
    return refresh(task, **endpoints.for_job(task))


@_command
def run_reload(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Run reload."""
    return reload(
        task,
        **endpoints.for_job(task),
        tables=arguments.tables,
        keep_equal=arguments.keep_equal,
        stop=StopSignal(),
        progress=TerminalProgress(sys.stderr),
    )


@_command
def run_dead_letters_list(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """List dead letters."""
    return list_dead_letters(task, target=endpoints.target, broker=endpoints.broker)


@_command
def run_dead_letters_show(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Show the changes of one dead letter."""
    return show_dead_letter(
        task,
        target=endpoints.target,
        broker=endpoints.broker,
        message_id=arguments.message_id,
        limit=arguments.limit,
    )


@_command
def run_dead_letters_replay(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Replay dead letters."""
    return replay_dead_letters(
        task,
        target=endpoints.target,
        broker=endpoints.broker,
        message_ids=arguments.message_ids or None,
        stop=StopSignal(),
    )


@_command
def run_dead_letters_discard(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Discard dead letters."""
    return discard_dead_letters(
        task, target=endpoints.target, broker=endpoints.broker, message_ids=arguments.message_ids
    )


@_command
def run_skip(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Run skip."""
    if (arguments.lsn is None) is not arguments.none:
        raise ConfigurationError(
            "give either --lsn or --none", hint="The error that stops a task names the LSN."
        )
    return skip(task, target=endpoints.target, lsn=arguments.lsn)


@_command
def run_sync_sequences(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run sync_sequences."""
    return sync_sequences(task, source=endpoints.source, target=endpoints.target)


@_command
def run_validate(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Compare the rows of both sides; rows that differ make the exit code 1."""
    return validate(
        task,
        source=endpoints.source,
        target=endpoints.target,
        tables=arguments.tables,
        repair=arguments.repair,
        anew=arguments.anew,
        rows_per_second=arguments.rows_per_second,
        stop=StopSignal(),
    )


@_command
def run_cutover(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """Say whether it is safe to switch; if not, the exit code is 1."""
    return cutover(
        task,
        source=endpoints.source,
        target=endpoints.target,
        patience_seconds=arguments.wait,
        stop=StopSignal(),
    )


@_command
def run_prune(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run prune."""
    return prune(task, target=endpoints.target)


@_command
def run_sweep(task: ReplicationTask, endpoints: TaskEndpoints, arguments: Namespace) -> Any:
    """List what unknown tasks have left, and remove what is named."""
    return sweep(task, **endpoints.for_job(task), remove=arguments.remove)


@_command
def run_teardown(task: ReplicationTask, endpoints: TaskEndpoints, _: Namespace) -> Any:
    """Run teardown."""
    return teardown(task, **endpoints.for_job(task))


def run_suggest(arguments: Namespace) -> None:
    """Draft, print the draft as JSON, and save it as a Variable when a person says so."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    operator = SuggestTaskOperator(
        task_id="suggest",
        description=arguments.description,
        task_name=arguments.task_name,
        source_conn_id=arguments.source_conn_id,
        target_conn_id=arguments.target_conn_id,
        broker_conn_id=arguments.broker_conn_id,
        metadata_conn_id=arguments.metadata_conn_id,
        model_conn_id="" if arguments.no_model else arguments.model_conn_id,
        allow_values=arguments.allow_values,
        prove=arguments.dry_run,
    )
    try:
        report = operator.draft()
        print(json.dumps(report, indent=2))
        if report["proof_error"] is not None:
            raise PreflightError(f"the dry run of the draft failed: {report['proof_error']}")
        if arguments.save and (arguments.yes or confirm(f"Save as the task {report['task_name']}? [y/N] ")):
            key = save_settings(report["settings"], replaces=report["replaces"])
            print(f"saved as Variable {key}", file=sys.stderr)
    except TrempyError as error:
        fail(error)
