"""`airflow trempy …`: the jobs, with settings and connections from Airflow.

Only names are imported here: Airflow asks for the commands at every call of its own.
"""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

_RUN = "trempy_provider.plugins.run_command"
_SAME = "trempy_provider.plugins.same_command"
_DEAD_LETTERS = "List, show, replay or discard messages that could not be applied."
_TASK = Arg(("task_name",), help="The replication task, kept in a Variable.")
_TABLES = Arg(("--table",), help="schema.table; may be given several times.", action="append", dest="tables")
_RELOAD = Arg(("--reload",), help="Load again what is loaded already.", action="store_true")
_LETTER = Arg(("message_id",), help="The dead letter, as `list` names it.")
_LETTERS = Arg(("message_ids",), nargs="*", help="Only these, as `list` names them.")
_LETTERS_TO_DISCARD = Arg(("message_ids",), nargs="+", help="The dead letters, as `list` names them.")
_LIMIT = Arg(("--limit",), help="Show the first so many changes.", type=int, default=1000)
_LSN = Arg(("--lsn",), help="The commit LSN of the transaction, as the error names it.")
_NONE = Arg(("--none",), help="Skip none after all.", action="store_true")
_KEEP_EQUAL = Arg(("--keep-equal",), help="Load only tables whose rows differ.", action="store_true")
_REPAIR = Arg(("--repair",), help="Write the rows that differ as the source has them.", action="store_true")
_RATE = Arg(("--rows-per-second",), help="Compare no more rows a second than this.", type=int)
_ANEW = Arg(("--anew",), help="Do not go on with a validation that was not finished.", action="store_true")
_WAIT = Arg(("--wait",), help="Wait for zero lag no longer than so many seconds.", type=float, default=600.0)
_DESCRIPTION = Arg(("description",), help="What is to be replicated, in any language.")
_NAME = Arg(("--name",), help="The task; its present settings are changed.", dest="task_name", default="")
_CONNECTIONS = tuple(
    Arg((f"--{part}-conn-id",), help=f"The connection of the {part}.", default="")
    for part in ("source", "target", "broker", "metadata")
)
_MODEL = Arg(("--model-conn-id",), help="The connection of the language model.", default="trempy_model")
_NO_MODEL = Arg(("--no-model",), help="Draft without a model.", action="store_true")
_ALLOW_VALUES = Arg(
    ("--allow-values",), help="Let the model see the most common values of columns.", action="store_true"
)
_DRY_RUN = Arg(("--dry-run",), help="Prove the draft on a sample of rows, too.", action="store_true")
_SAVE = Arg(("--save",), help="Save it as a Variable, after asking.", action="store_true")
_YES = Arg(("--yes",), help="Save without asking.", action="store_true")
_SUGGEST = (_DESCRIPTION, _NAME, *_CONNECTIONS, _MODEL, _NO_MODEL, _ALLOW_VALUES, _DRY_RUN, _SAVE, _YES)
_REMOVE = Arg(
    ("--remove",),
    help="Remove what this unknown task has left; may be given several times.",
    action="append",
    default=[],
)
_RESTART = Arg(("--restart",), help="Start from zero.", action="store_true")
_CAUGHT_UP = Arg(
    ("--until-caught-up",), help="End when everything committed so far is done.", action="store_true"
)
_SECONDS = Arg(("--for",), help="End after so many seconds.", type=float, dest="seconds")
_ROWS = Arg(("--rows",), help="Rows of each table.", type=int, default=1000)


def _command(name: str, text: str, *arguments: Arg) -> ActionCommand:
    function = lazy_load_command(f"{_RUN}.run_{name.replace('-', '_')}")
    return ActionCommand(name=name, help=text, func=function, args=(_TASK, *arguments))


def _same(name: str, text: str, *arguments: Arg) -> ActionCommand:
    function = lazy_load_command(f"{_SAME}.run_{name.replace('-', '_')}")
    return ActionCommand(name=name, help=text, func=function, args=arguments)


def _dead_letter_commands() -> tuple[ActionCommand, ...]:
    return (
        _action("list", "List those about which somebody has to decide."),
        _action("show", "Print the changes of one, rows and all.", _LETTER, _LIMIT),
        _action("replay", "Apply all, or those named: in order, and never over anything newer.", _LETTERS),
        _action("discard", "Do without those named, for good.", _LETTERS_TO_DISCARD),
    )


def _action(name: str, text: str, *arguments: Arg) -> ActionCommand:
    function = lazy_load_command(f"{_RUN}.run_dead_letters_{name}")
    return ActionCommand(name=name, help=text, func=function, args=(_TASK, *arguments))


def get_commands() -> list[CLICommand]:
    """Return the command group."""
    commands = (
        _command("check", "Check the settings, both servers and the broker; change nothing."),
        _same("dry-run", "Apply the settings to the first rows of each table, and undo it.", _TASK, _ROWS),
        _command("status", "Tell how far the task is."),
        _command("monitor", "Fail when the task needs attention: lag, retained WAL, errors, dead letters."),
        _command("setup", "Create publication, slot, target tables, metadata and queues.", _RESTART),
        _command("full-load", "Load tables.", _TABLES, _RELOAD),
        _same("capture", "Publish committed changes, until stopped.", _TASK, _CAUGHT_UP, _SECONDS),
        _same("apply", "Apply published changes, until stopped.", _TASK, _CAUGHT_UP, _SECONDS),
        _same("run", "Set up, load, then capture and apply together.", _TASK, _CAUGHT_UP, _SECONDS),
        _command("refresh", "Pick up tables newly named or newly matching."),
        _command("sync-sequences", "Set the target's sequences where the source's stand, for a cutover."),
        _command("validate", "Compare the rows of both sides.", _TABLES, _REPAIR, _RATE, _ANEW),
        _command("cutover", "Tell whether the target may take over, and why not.", _WAIT),
        _command("reload", "Load tables again from zero, the rest untouched.", _TABLES, _KEEP_EQUAL),
        GroupCommand(name="dead-letters", help=_DEAD_LETTERS, subcommands=_dead_letter_commands()),
        _command("skip", "Leave out one transaction of the source.", _LSN, _NONE),
        ActionCommand(
            name="suggest",
            help="Draft a task's settings from a description; nothing is saved or started unasked.",
            func=lazy_load_command(f"{_RUN}.run_suggest"),
            args=_SUGGEST,
        ),
        _command("prune", "Delete row errors and settled dead letters that are too old to keep."),
        _command("sweep", "List what tasks have left that the target does not know.", _REMOVE),
        _command("teardown", "Remove slot, publication, queues and metadata."),
        _same("schema", "Print the JSON Schema of the settings."),
    )
    return [GroupCommand(name="trempy", help="Replicate PostgreSQL to PostgreSQL", subcommands=commands)]
