"""Draft the settings of a task in a DAG, for a person to approve; see `assistant/`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from trempy_provider.assistant.draft import CONNECTION_KEYS, Draft, Frame
from trempy_provider.assistant.model import CORRECTIONS, DEFAULT_CONN_ID, DEFAULT_MODEL, ModelDrafter
from trempy_provider.assistant.presentation import draft_text, dry_run_text
from trempy_provider.assistant.suggest import read_grounds, suggest
from trempy_provider.config.options import TaskOptions
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, RetryPolicy, TrempyError
from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.hooks.language_models import open_agent_factory
from trempy_provider.hooks.settings import SettingsText, etag_of, find_all_settings, find_present
from trempy_provider.jobs.dry_run import DryRunReport, dry_run
from trempy_provider.operators.flags import is_true

if TYPE_CHECKING:
    from airflow.sdk import Context

_NO_NAME = "suggest"


class SuggestTaskOperator(BaseOperator):
    """Draft the settings of a replication task from a description; save and start nothing.

    The XCom has the settings, why each was chosen, warnings, and `text`: the draft as a change, and what a
    dry run makes of it, as Markdown for an `ApprovalOperator`. No row is in it.
    `replaces` is what `save_settings` takes, so that settings changed meanwhile are not overwritten, and
    `proof_error` is why the dry run failed.
    Settings that do not validate fail the task, with the draft in its log.

    :param description: what is to be replicated, in any language
    :param task_name: the task's name; the settings it has now are changed; "" lets the draft choose one
    :param source_conn_id: the source, if it is not the one of the present settings or `trempy_source`
    :param target_conn_id: the same of the target
    :param broker_conn_id: the same of the broker
    :param metadata_conn_id: the same of the metadata database; without any, the target keeps all metadata
    :param model_conn_id: a language model (extra `ai`); where there is none, the advisor drafts; "": always
    :param allow_values: let the model see the most common values of columns
    :param prove: make a dry run of the draft
    :param corrections: how often a draft that does not validate goes back to the model
    """

    template_fields: Sequence[str] = (
        "description",
        "task_name",
        "source_conn_id",
        "target_conn_id",
        "broker_conn_id",
        "metadata_conn_id",
        "model_conn_id",
        "allow_values",
    )
    ui_color = "#dfeaf7"

    def __init__(
        self,
        *,
        description: str,
        task_name: str = "",
        source_conn_id: str = "",
        target_conn_id: str = "",
        broker_conn_id: str = "",
        metadata_conn_id: str = "",
        model_conn_id: str = DEFAULT_CONN_ID,
        allow_values: bool | str = False,
        prove: bool = True,
        corrections: int = CORRECTIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.task_name = task_name
        self.source_conn_id = source_conn_id
        self.target_conn_id = target_conn_id
        self.broker_conn_id = broker_conn_id
        self.metadata_conn_id = metadata_conn_id
        self.model_conn_id = model_conn_id
        self.allow_values = allow_values
        self.prove = prove
        self.corrections = corrections

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  # Airflow names it
        """Draft, and return the draft as the XCom."""
        try:
            return self.draft()
        except TrempyError as error:
            kind = AirflowException if error.policy is RetryPolicy.BY_ITSELF else AirflowFailException
            raise kind(error.explanation) from error

    def draft(self) -> dict[str, Any]:
        """Return the draft's facts; raise TrempyError when there is none that validates."""
        # It takes a third of a second to import: too long for every parsing of a DAG file.
        from trempy_provider.hooks.postgres import open_endpoint, open_target  # noqa: PLC0415

        known = _KnownTasks.read()
        frame = self._frame()
        source, target = self._conn_id(frame, "source"), self._conn_id(frame, "target")
        metadata = (frame.connections or {}).get("metadata_conn_id", target)
        name = self.task_name or _NO_NAME
        grounds = read_grounds(
            open_endpoint(source, task_name=name, role="source"),
            target=open_target(target, metadata_conn_id=metadata, task_name=name),
            settings=known.tasks,
            frame=frame,
            allow_values=is_true(self.allow_values),
        )
        drafter, warnings = self._drafter()
        draft = suggest(self.description, grounds, drafter=drafter, warnings=warnings)
        text = draft_text(draft, present=frame.present)
        if draft.task is None:
            self.log.error("The draft of %s does not validate:\n%s", draft.author, text)
            raise ConfigurationError(
                "".join(f"\n  {problem}" for problem in draft.problems),
                hint="Say it in other words; the draft is in the log.",
            )
        proof = self._prove(draft.task)
        return _xcom(draft, text, proof, present=frame.present)

    def _frame(self) -> Frame:
        present = _present_settings(self.task_name)
        options: Mapping[str, Any] = {} if present is None else present.get("task", {})
        given = {key: getattr(self, key, "") or options.get(key) for key in CONNECTION_KEYS}
        return Frame(self.task_name or None, {key: text for key, text in given.items() if text}, present)

    def _conn_id(self, frame: Frame, part: str) -> str:
        key = f"{part}_conn_id"
        default = str(TaskOptions.model_fields[key].default)
        return (frame.connections or {}).get(key, default)

    def _drafter(self) -> tuple[ModelDrafter | None, tuple[str, ...]]:
        """Return the model's drafter; where there is none, why the advisor drafts."""
        if not self.model_conn_id:
            return None, ()
        try:
            create_agent, name = open_agent_factory(self.model_conn_id, default_model=DEFAULT_MODEL)
        except ConfigurationError as error:
            return None, (f"{error}: this is the advisor's draft.",)
        return ModelDrafter(create_agent, name, corrections=self.corrections), ()

    def _prove(self, task: ReplicationTask) -> DryRunReport | None:
        """Return what a dry run makes of the draft, without a row of it."""
        if not self.prove:
            return None
        return dry_run(task, **endpoints_of(task).for_job(task), shown_rows=0)


@dataclass(frozen=True, slots=True)
class _KnownTasks:
    """The settings of this installation, as they were found and as they load."""

    found: tuple[SettingsText, ...]

    @classmethod
    def read(cls) -> _KnownTasks:
        return cls(tuple(each for each in find_all_settings() if isinstance(each, SettingsText)))

    @property
    def tasks(self) -> Iterator[ReplicationTask]:
        """Yield those that are valid."""
        for settings in self.found:
            try:
                yield settings.load()
            except ConfigurationError:
                continue


def _present_settings(task_name: str) -> Mapping[str, Any] | None:
    """Return the settings of a task, None when it has none; raise SettingsError when they do not load."""
    settings = find_present(task_name) if task_name else None
    if settings is None:
        return None
    settings.load()
    text = settings.text
    present: Mapping[str, Any] = text if isinstance(text, Mapping) else json.loads(_decoded(text))
    return present


def _decoded(text: object) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)


def _xcom(
    draft: Draft, text: str, proof: DryRunReport | None, *, present: Mapping[str, Any] | None
) -> dict[str, Any]:
    facts = draft.as_dict()
    del facts["problems"]
    assert draft.task is not None
    error = None if proof is None else proof.error
    return {
        "task_name": draft.task.task_name,
        **facts,
        "replaces": None if present is None else etag_of(present),
        "proof_error": None if error is None else error.explanation,
        "text": as_code_block(text if proof is None else f"{text}\n\nDry run:\n{dry_run_text(proof)}"),
    }


def as_code_block(text: str) -> str:
    """Return Markdown that shows the text as it is, whatever is in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
