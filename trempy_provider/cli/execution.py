"""Run a command: settings and connections first, then the job, then its report or its error."""

from __future__ import annotations

import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from importlib import import_module

from trempy_provider.cli.errors import DONE, exit_code_of, foreseen, hint_of, print_error
from trempy_provider.cli.invocation import Given, Outcome, make_invocation
from trempy_provider.cli.stopping import watch_parent
from trempy_provider.config.schema import task_json_schema
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.replication import wire_json

# By name, since each imports the jobs it needs, and some take long to import.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "check": ("preparing", "run_check"),
    "dry-run": ("preparing", "run_dry_run"),
    "prune": ("preparing", "run_prune"),
    "setup": ("preparing", "run_setup"),
    "sweep": ("preparing", "run_sweep"),
    "teardown": ("preparing", "run_teardown"),
    "full-load": ("loading", "run_full_load"),
    "reload": ("loading", "run_reload"),
    "refresh": ("loading", "run_refresh"),
    "sync-sequences": ("preparing", "run_sync_sequences"),
    "validate": ("validating", "run_validate"),
    "cutover": ("validating", "run_cutover"),
    "capture": ("following", "run_capture"),
    "apply": ("following", "run_apply"),
    "run": ("running", "run_run"),
    "skip": ("mending", "run_skip"),
    "dead-letters": ("mending", "run_dead_letters"),
    "status": ("telling", "run_status"),
    "monitor": ("telling", "run_monitor"),
    "suggest": ("suggesting", "run_suggest"),
}


def execute(arguments: Namespace, stop: StopSignal) -> int:
    """Run the command, print what comes of it, and return the exit code."""
    if arguments.command == "schema":
        schema = wire_json.json_schema() if arguments.messages else task_json_schema()
        _print(json.dumps(schema, indent=2))
        return DONE
    _set_up_logging(verbose=arguments.verbose)
    try:
        outcome = _run(arguments, stop)
    except Exception as error:  # noqa: BLE001  # whatever it is, the last line says what and what to do
        return _fail(foreseen(error), arguments)
    as_json = arguments.json or arguments.child
    _print(json.dumps(outcome.report, indent=None if arguments.child else 2) if as_json else outcome.text)
    return DONE if outcome.error is None else _fail(outcome.error, arguments)


def _run(arguments: Namespace, stop: StopSignal) -> Outcome:
    if arguments.command == "suggest":  # which has no settings yet
        return _function("suggest")(arguments)
    if arguments.child:
        given = Given.from_parent()
        watch_parent(stop)
    else:
        given = Given.from_arguments(arguments)
    return _function(arguments.command)(make_invocation(arguments, given, stop))


def _function(command: str) -> Callable[..., Outcome]:
    module_name, function_name = _COMMANDS[command]
    function: Callable[..., Outcome] = getattr(
        import_module(f"trempy_provider.cli.{module_name}"), function_name
    )
    return function


def _fail(error: TrempyError, arguments: Namespace) -> int:
    """Print the error: for a person on stderr, for the process that started this one on stdout."""
    code = exit_code_of(error)
    if not arguments.child:
        print_error(error, debug=arguments.debug)
        return code
    if arguments.debug:
        print_error(error, debug=True)
    _print(json.dumps({"error": {"message": str(error), "hint": hint_of(error), "exit_code": code}}))
    return code


def _print(text: str) -> None:
    """Print on stdout; a reader that has gone (`| head`, a parent that was killed) is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_up_logging(*, verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
    logging.getLogger("trempy_provider").setLevel(logging.DEBUG if verbose else logging.INFO)
    # What pika says is said again, in our words, by the errors it raises.
    logging.getLogger("pika").setLevel(logging.WARNING if verbose else logging.CRITICAL)
