"""`suggest`: a draft from a description, shown as a change; saved only when a person says so."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trempy_provider.assistant.confirmation import confirm
from trempy_provider.assistant.draft import CONNECTION_KEYS, Draft, Frame
from trempy_provider.assistant.language_models import open_model
from trempy_provider.assistant.model import DEFAULT_CONN_ID, ModelDrafter
from trempy_provider.assistant.presentation import draft_text, dry_run_text
from trempy_provider.assistant.suggest import read_grounds, suggest
from trempy_provider.cli.airflow_connection import AirflowConnection
from trempy_provider.cli.connections import AIRFLOW_PREFIX, PARTS, Connections
from trempy_provider.cli.invocation import Outcome, read_file
from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, SettingsError, TrempyError
from trempy_provider.jobs.dry_run import DryRunReport, dry_run

_MODEL_TYPE = "pydanticai"
_TASKS_FOLDER = "TREMPY_TASKS_FOLDER"
_NO_TASK: Mapping[str, Any] = {
    "task": {"task_name": "suggest"},
    "tables": [{"schema_name": "*", "table_name": "*"}],
}


@dataclass(frozen=True, slots=True)
class _Present:
    """The settings that the draft would replace, and where they are; none at all for a new task."""

    settings: Mapping[str, Any] | None
    task: ReplicationTask

    @property
    def name(self) -> str | None:
        """Return the name that the task has."""
        return None if self.settings is None else self.task.task_name

    @property
    def frame_connections(self) -> dict[str, str]:
        """Return the connections that the settings name."""
        options = {} if self.settings is None else self.settings["task"]
        return {key: options[key] for key in CONNECTION_KEYS if options.get(key)}


def run_suggest(arguments: Namespace) -> Outcome:
    """Draft, show, and save what a person wants saved."""
    present = _read_present(arguments)
    replaced = _text_at(arguments.save)
    connections = _connections(arguments, present.task)
    frame = Frame(arguments.name or present.name, present.frame_connections, present.settings)
    grounds = read_grounds(
        connections.source,
        target=connections.target if connections.is_given("target") else None,
        settings=_known_tasks(),
        frame=frame,
        allow_values=arguments.allow_values,
    )
    draft = suggest(arguments.description, grounds, drafter=_drafter(arguments))
    proof = _dry_run(draft, connections) if arguments.dry_run else None
    text = draft_text(draft, present=present.settings)
    text += f"\n\nDry run:\n{dry_run_text(proof)}" if proof else ""
    error = _error(draft) or (None if proof is None else proof.error)
    saved = _save(draft, arguments, text, error, replaced=replaced) if arguments.save else None
    report = {**draft.as_dict(), "diff": draft.diff_from(present.settings), "saved": saved}
    if proof is not None:
        report["dry_run"] = proof.as_dict()
    if not arguments.save:
        return Outcome(report, text, error)
    return Outcome(report, f"saved as {saved}" if saved else "not saved", error)


def _read_present(arguments: Namespace) -> _Present:
    """Read the settings to change: those given, or those that would be overwritten."""
    name = arguments.settings
    if name is None and arguments.save and Path(arguments.save).exists():
        name = arguments.save
    if name is None:
        return _Present(None, load_task(_NO_TASK, origin="no settings"))
    text = read_file(name)
    task = load_task(text, origin=name)
    return _Present(json.loads(text), task)


def _connections(arguments: Namespace, task: ReplicationTask) -> Connections:
    given = {part: getattr(arguments, part) for part in PARTS}
    return Connections(task, given=given, environment=os.environ)


def _drafter(arguments: Namespace) -> ModelDrafter | None:
    """Return the drafter of the model whose connection is in the environment, None where there is none."""
    if arguments.no_model:
        return None
    variable = AIRFLOW_PREFIX + (arguments.model_conn_id or DEFAULT_CONN_ID).upper()
    text = os.environ.get(variable)
    if text is None and arguments.model_conn_id is not None:
        raise ConfigurationError(
            f"no model is given: {variable} is not set", hint="Set it, or use --no-model."
        )
    if text is None:
        return None
    connection = AirflowConnection.parse(text, variable=variable)
    if connection.conn_type != _MODEL_TYPE:
        raise ConfigurationError(
            f"{variable} is a connection of type {connection.conn_type}, not {_MODEL_TYPE}",
            hint="`airflow trempy suggest` takes every type that Airflow has a model for.",
        )
    return open_model(
        api_key=connection.password,
        base_url=connection.host,
        model_name=connection.extra.get("model"),
        corrections=arguments.corrections,
    )


def _dry_run(draft: Draft, connections: Connections) -> DryRunReport | None:
    """Prove a draft that validates, with the connections that are given."""
    if draft.task is None:
        return None
    return dry_run(
        draft.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_given,
    )


def _known_tasks() -> Iterator[ReplicationTask]:
    """Yield the tasks of the folder that holds settings; a file that does not load is none."""
    folder = os.environ.get(_TASKS_FOLDER)
    for path in sorted(Path(folder).glob("*.json")) if folder else ():
        try:
            yield load_task(read_file(str(path)), origin=str(path))
        except ConfigurationError:
            continue


def _text_at(path: str | None) -> bytes | None:
    """Return what a file holds, None where there is none that can be read."""
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError:
        return None


def _save(
    draft: Draft, arguments: Namespace, text: str, failure: TrempyError | None, *, replaced: bytes | None
) -> str | None:
    """Write the draft where the person wants it, once they have seen it and said yes.

    One that does not validate, or whose proof has failed, is shown and not saved.
    Raise ConfigurationError when the file is not as it was (`replaced`) when the draft was begun.
    """
    if failure is not None:
        print(text, file=sys.stderr)
        return None
    if not arguments.yes:
        print(text, file=sys.stderr)
        what = "Replace" if Path(arguments.save).exists() else "Save as"
        if not confirm(f"{what} {arguments.save}? [y/N] "):
            return None
    if _text_at(arguments.save) != replaced:
        raise ConfigurationError(
            f"{arguments.save} was changed by somebody else since the draft was made: nothing was saved",
            hint="Draft again, from what is there now.",
        )
    try:
        Path(arguments.save).write_text(draft.json_text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the draft cannot be written to {arguments.save}: {error.strerror or error}",
            hint="Give the path of a file in a folder that you may write to.",
        ) from error
    return str(arguments.save)


def _error(draft: Draft) -> TrempyError | None:
    if not draft.problems:
        return None
    lines = "".join(f"\n  {problem}" for problem in draft.problems)
    return SettingsError(
        f"the draft of {draft.author} does not validate{lines}",
        problems=draft.problems,
        hint="Say it in other words, or correct the draft by hand.",
    )
