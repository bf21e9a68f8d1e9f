"""The commands and their arguments."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from trempy_provider import __version__

USAGE_ERROR = 2
_EPILOG = """\
connections:
  --source, --target    postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…
  --metadata            the same, only where the settings have metadata_conn_id
  --broker              amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps://…
  Everybody on this machine can read a command line (ps), passwords in it too; the environment is private.
  Where the option is not given, TREMPY_SOURCE, TREMPY_TARGET, TREMPY_METADATA and TREMPY_BROKER are read,
  then the variables that Airflow reads, in its URI or JSON form: AIRFLOW_CONN_ and the connection id of the
  settings in capitals (AIRFLOW_CONN_TREMPY_SOURCE, AIRFLOW_CONN_TREMPY_TARGET and
  AIRFLOW_CONN_TREMPY_BROKER by default).
  The salt of hash is in TREMPY_SALT, or it is the password of Airflow's connection that the settings name.

exit codes:
  0 done; 2 the settings or the arguments are wrong; 1 anything else.
  The last line on stderr says what is wrong and what to do.

SIGTERM and SIGINT stop a command within two seconds; started again, it goes on where it stopped.
"""


class Commands(Protocol):
    """What argparse returns for commands to be added to."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Add a command."""


class _Parser(argparse.ArgumentParser):
    """argparse with our last line."""

    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(USAGE_ERROR, f"error: {message} — `{self.prog} --help` explains the arguments\n")

    def print_usage(self, file: object = None) -> None:
        """Print the usage on stderr, unless it was asked for elsewhere."""
        self._print_message(self.format_usage(), file)  # type: ignore[arg-type]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments; end the program with exit code 2 and a last line when they are wrong."""
    return argument_parser().parse_args(argv)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="trempy",
        description="Replicate PostgreSQL to PostgreSQL: a full load, then every change, through RabbitMQ.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trempy {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=_Parser
    )
    for name, (text, add_options) in _COMMANDS.items():
        _add_command(commands, name, text, add_options)
    _add_dead_letters(commands)
    _add_suggest(commands)
    schema = commands.add_parser("schema", help="print the JSON Schema of the settings", allow_abbrev=False)
    schema.add_argument(
        "--messages", action="store_true", help="of messages with message_format json instead"
    )
    return parser


def _add_command(
    commands: Commands, name: str, text: str, add_options: Callable[[argparse.ArgumentParser], None]
) -> None:
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_task_options(command)
    add_options(command)


def _add_dead_letters(commands: Commands) -> None:
    """Add the one command that has commands of its own."""
    text = "list, show, replay or discard messages that could not be applied"
    group = commands.add_parser("dead-letters", help=text, description=text, allow_abbrev=False)
    actions = group.add_subparsers(
        dest="action", metavar="ACTION", required=True, title="actions", parser_class=_Parser
    )
    for name, (action_text, add_options) in _DEAD_LETTER_ACTIONS.items():
        _add_command(actions, name, action_text, add_options)


def _add_suggest(commands: Commands) -> None:
    """Add the command that has a description instead of settings."""
    text = "draft the settings of a task from a description; nothing is saved or started unasked"
    command = commands.add_parser(
        "suggest",
        help=text,
        description=text,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "description", metavar="DESCRIPTION", help="what is to be replicated, in any language"
    )
    command.add_argument("--name", metavar="TASK", help="the task's name (default: made from its tables)")
    command.add_argument(
        "--settings", metavar="FILE", help="the present settings: the draft is shown as a change of them"
    )
    command.add_argument(
        "--allow-values", action="store_true", help="let the model see the most common values of columns"
    )
    command.add_argument("--dry-run", action="store_true", help="prove the draft on a sample of rows, too")
    command.add_argument("--save", metavar="FILE", help="write the draft there, after asking")
    models = command.add_mutually_exclusive_group()
    models.add_argument(
        "--model-conn-id",
        metavar="ID",
        help="the Airflow connection of a language model, in AIRFLOW_CONN_… (default: trempy_model, if set)",
    )
    models.add_argument("--no-model", action="store_true", help="draft without a model")
    command.add_argument(
        "--corrections",
        type=_count,
        default=3,
        metavar="N",
        help="how often a draft that does not validate goes back to the model (default: 3)",
    )
    command.add_argument("--yes", action="store_true", help="save without asking")
    _add_common_options(command)


def _add_task_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("settings", metavar="SETTINGS.json", help="the settings of the task")
    _add_common_options(command)


def _add_common_options(command: argparse.ArgumentParser) -> None:
    for name in ("source", "target", "broker", "metadata"):
        command.add_argument(f"--{name}", metavar="URI", help=f"the {name}; see below")
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.add_argument("-v", "--verbose", action="store_true", help="log every step")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def _no_options(_command: argparse.ArgumentParser) -> None:
    pass


def _add_tables(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--table",
        dest="tables",
        metavar="SCHEMA.TABLE",
        nargs="+",
        action="extend",
        help="only these of the task's tables",
    )


def _add_reload(command: argparse.ArgumentParser) -> None:
    _add_tables(command)
    command.add_argument(
        "--keep-equal",
        action="store_true",
        help="start from zero, but load only tables whose rows differ on the two sides",
    )


def _add_validate(command: argparse.ArgumentParser) -> None:
    _add_tables(command)
    command.add_argument(
        "--repair", action="store_true", help="write the rows that differ as the source has them"
    )
    command.add_argument(
        "--rows-per-second", type=_count, metavar="N", help="compare no more rows a second than this"
    )
    command.add_argument(
        "--anew", action="store_true", help="do not go on with a validation that was not finished"
    )


def _add_cutover(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--wait",
        dest="patience_seconds",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="wait for zero lag no longer than this (default: 600)",
    )


def _add_sweep(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--remove",
        metavar="TASK",
        nargs="+",
        action="extend",
        default=[],
        help="remove what these tasks, which the target does not know, have left",
    )


def _add_bounds(command: argparse.ArgumentParser) -> None:
    bounds = command.add_mutually_exclusive_group()
    bounds.add_argument(
        "--until-caught-up",
        action="store_true",
        help="end once everything committed on the source before the call is durably done",
    )
    bounds.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        metavar="SECONDS",
        help="end after so many seconds of following changes",
    )
    bounds.add_argument("--until-lsn", metavar="LSN", help=argparse.SUPPRESS)


def _add_dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--rows", type=_count, default=1000, metavar="N", help="rows of each table (default: 1000)"
    )


def _add_skip(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--lsn", metavar="LSN", help="its commit LSN, as the error names it")
    which.add_argument("--none", action="store_true", help="skip none after all")


def _add_letter(command: argparse.ArgumentParser) -> None:
    command.add_argument("message_ids", metavar="MESSAGE_ID", nargs=1, help="as `dead-letters list` names it")
    command.add_argument(
        "--limit", type=_count, default=1000, metavar="N", help="show the first N changes (default: 1000)"
    )


def _add_letters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "message_ids", metavar="MESSAGE_ID", nargs="*", help="only these, as `dead-letters list` names them"
    )


def _add_letters_or_all(command: argparse.ArgumentParser) -> None:
    _add_letters(command)
    command.add_argument("--all", action="store_true", help="all of them")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "check": ("validate the settings, then look at both servers and the broker; change nothing", _no_options),
    "dry-run": ("apply the settings to the first rows of each table, and undo it", _add_dry_run),
    "setup": ("make publication, slot, target tables, metadata and queues", _no_options),
    "full-load": ("load the tables that are not loaded yet", _add_tables),
    "capture": ("publish committed changes to the broker, until stopped or as long as asked", _add_bounds),
    "apply": ("apply published changes to the target, until stopped or as long as asked", _add_bounds),
    "run": ("set up and load what is missing, then capture and apply together", _add_bounds),
    "refresh": ("pick up tables newly named or newly matching, with their existing rows", _no_options),
    "status": ("tell how far the task and its tables are", _no_options),
    "monitor": ("fail when the task needs attention: lag, retained WAL, errors, dead letters", _no_options),
    "sync-sequences": ("set the target's sequences where the source's stand, for a cutover", _no_options),
    "validate": ("compare the rows of both sides while changes are followed", _add_validate),
    "cutover": ("tell whether the target may take over: no lag, sequences set, tables equal", _add_cutover),
    "reload": ("load again: everything from zero, or only the tables named", _add_reload),
    "prune": ("delete row errors and settled dead letters older than the settings keep them", _no_options),
    "sweep": ("list slots, publications and queues of tasks that the target does not know", _add_sweep),
    "skip": ("leave out one transaction of the source, by its commit LSN", _add_skip),
    "teardown": ("remove slot, publication, queues, exchanges and the task's metadata", _no_options),
}

_DEAD_LETTER_ACTIONS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "list": ("list those about which somebody has to decide", _no_options),
    "show": ("print the changes of one, rows and all", _add_letter),
    "replay": ("apply all, or those named: in order, and never over anything newer", _add_letters),
    "discard": ("do without those named, or without all, for good", _add_letters_or_all),
}
