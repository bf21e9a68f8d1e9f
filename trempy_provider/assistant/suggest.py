"""From a description to a draft: by a model where one is given; else, and where it fails, by the advisor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from trempy_provider.assistant.advisor import Grounds, advise
from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.draft import Draft, Frame
from trempy_provider.assistant.history import read_history
from trempy_provider.assistant.reading import read_catalogue
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, ModelError
from trempy_provider.postgres.session import Endpoint

__all__ = ["DESCRIPTION_MAX_LENGTH", "Drafter", "Grounds", "read_grounds", "suggest"]

DESCRIPTION_MAX_LENGTH = 20_000


class Drafter(Protocol):
    """What drafts settings with a model."""

    def draft(self, description: str, grounds: Grounds) -> Draft:
        """Return a draft, one that does not validate too; raise ModelError when there is none."""


def read_grounds(
    source: Endpoint,
    *,
    target: Endpoint | None = None,
    settings: Iterable[ReplicationTask] = (),
    frame: Frame | None = None,
    allow_values: bool = False,
) -> Grounds:
    """Read what a draft is grounded in: the source's catalogue, and how tasks have done here."""
    catalogue: Catalogue = read_catalogue(source, target=target, allow_values=allow_values)
    history = read_history(target, settings)
    known = frame or Frame()
    present = None if known.present is None else known.present.get("task", {}).get("task_name")
    taken = {task.task_name for task in history.tasks} - {present, known.task_name}
    return Grounds(catalogue, history, replace(known, taken_names=frozenset(taken)))


def suggest(
    description: str, grounds: Grounds, *, drafter: Drafter | None = None, warnings: tuple[str, ...] = ()
) -> Draft:
    """Return a draft for a person to look at; nothing is saved or started.

    `warnings` are what is known before, such as why no model is asked: the draft has them first.
    Raise ConfigurationError when the description is empty or too long, or it names no table and no model
    can be asked; it then tells the warnings, and what the model failed with, too.
    """
    if not description.strip():
        raise ConfigurationError("the description is empty", hint="Say which tables are to be replicated.")
    if len(description) > DESCRIPTION_MAX_LENGTH:
        raise ConfigurationError(
            f"the description has {len(description):,} characters",
            hint=f"At most {DESCRIPTION_MAX_LENGTH:,}.",
        )
    if drafter is not None:
        try:
            draft = drafter.draft(description, grounds)
            return replace(draft, warnings=(*warnings, *draft.warnings))
        except ModelError as error:
            warnings = (*warnings, f"The model could not be asked ({error}); this is the advisor's draft.")
    try:
        draft = advise(description, grounds)
    except ConfigurationError as error:
        if not warnings:
            raise
        told = "".join(f"\n  {warning}" for warning in warnings)
        raise ConfigurationError(f"there is no draft: {error}{told}", hint=error.hint) from error
    return replace(draft, warnings=(*warnings, *draft.warnings))
