"""A draft: settings that validate, why each was chosen, and what a person should know before saving it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import FieldProblem

ORIGIN = "the draft"
CONNECTION_KEYS = ("source_conn_id", "target_conn_id", "broker_conn_id", "metadata_conn_id")


@dataclass(frozen=True, slots=True)
class Frame:
    """What the person has decided, and no draft changes: the name, if it was given, and the connections.

    `present` are the settings that the draft would replace.
    """

    task_name: str | None = None
    connections: Mapping[str, str] | None = None
    present: Mapping[str, Any] | None = None
    taken_names: frozenset[str] = frozenset()  # of tasks other than the present one

    @property
    def fixed(self) -> dict[str, str]:
        """Return the keys of `task` that are decided."""
        named = {} if self.task_name is None else {"task_name": self.task_name}
        return {**named, **(self.connections or {})}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a setting is as it is."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """Settings for a person to look at; `author` is `advisor` or the name of the model.

    Where the settings do not validate, `problems` say why and `task` is None: such a draft cannot be saved.
    """

    settings: Mapping[str, Any]
    author: str
    task: ReplicationTask | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[FieldProblem, ...] = ()

    @property
    def json_text(self) -> str:
        """Return the settings as they are saved."""
        return json.dumps(self.settings, indent=2, ensure_ascii=False) + "\n"

    def diff_from(self, present: Mapping[str, Any] | None) -> str:
        """Return the change from the present settings, or from nothing, as a unified diff."""
        before = "" if present is None else json.dumps(present, indent=2, ensure_ascii=False) + "\n"
        lines = difflib.unified_diff(
            before.splitlines(),
            self.json_text.splitlines(),
            "present settings" if before else "no settings",
            "draft",
            lineterm="",
            n=3,
        )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the draft as plain values."""
        return {
            "author": self.author,
            "settings": dict(self.settings),
            "reasons": [{"path": reason.path, "text": reason.text} for reason in self.reasons],
            "warnings": list(self.warnings),
            "problems": [str(problem) for problem in self.problems],
        }


def valid_draft(
    settings: Mapping[str, Any], *, author: str, reasons: tuple[Reason, ...], warnings: tuple[str, ...]
) -> Draft:
    """Return the draft with its task; raise SettingsError when the settings do not validate."""
    return Draft(settings, author, load_task(settings, origin=ORIGIN), reasons, warnings)
