"""`airflow trempy …`: the jobs, with settings and connections from Airflow.

Only names are imported here: Airflow asks for the commands at every call of its own.
"""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

_RUN = "trempy_provider.plugins.run_command"
_TASK = Arg(("task_name",), help="The replication task, kept in a Variable.")
_TABLES = Arg(("--table",), help="schema.table; may be given several times.", action="append", dest="tables")
_RELOAD = Arg(("--reload",), help="Load again what is loaded already.", action="store_true")
_LSN = Arg(("--lsn",), help="The commit LSN of the transaction, as the error names it.")
_NONE = Arg(("--none",), help="Skip none after all.", action="store_true")
_RESTART = Arg(("--restart",), help="Start from zero.", action="store_true")


def _command(name: str, text: str, *arguments: Arg) -> ActionCommand:
    function = lazy_load_command(f"{_RUN}.run_{name.replace('-', '_')}")
    return ActionCommand(name=name, help=text, func=function, args=(_TASK, *arguments))


def get_commands() -> list[CLICommand]:
    """Return the command group."""
    commands = (
        _command("check", "Check the settings, both servers and the broker; change nothing."),
        _command("status", "Tell how far the task is."),
        _command("setup", "Create publication, slot, target tables, metadata and queues.", _RESTART),
        _command("full-load", "Load tables.", _TABLES, _RELOAD),
        _command("refresh", "Pick up tables newly named or newly matching."),
        _command("reload", "Load tables again from zero, the rest untouched.", _TABLES),
        _command("skip", "Leave out one transaction of the source.", _LSN, _NONE),
        _command("teardown", "Remove slot, publication, queues and metadata."),
    )
    return [GroupCommand(name="trempy", help="Replicate PostgreSQL to PostgreSQL", subcommands=commands)]
