"""A language model drafts: its answer is validated by the settings model, and goes back to it while it fails.

The model has two tools, which read what was read before: nothing that it says has an effect beside the draft.
pydantic-ai is imported when a model is asked; it belongs to the extra `ai`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trempy_provider.assistant.advisor import Grounds, advise
from trempy_provider.assistant.draft import ORIGIN, Draft, Reason
from trempy_provider.assistant.grounding import find_problems
from trempy_provider.assistant.prompt import hidden, instructions, problems_text, request_text, table_facts
from trempy_provider.assistant.reasons import complete_reasons
from trempy_provider.assistant.redaction import without_secrets
from trempy_provider.assistant.warnings import warnings_of
from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, FieldProblem, ModelError, SettingsError, TrempyError
from trempy_provider.postgres.tables import QualifiedName

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

DEFAULT_MODEL = "deepseek:deepseek-chat"
DEFAULT_CONN_ID = "trempy_model"
CORRECTIONS = 3
TIMEOUT_SECONDS = 180.0
_POLL_SECONDS = 0.2


class _AsTaskSettings:
    """Give a mapping the JSON Schema of a task's settings."""

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(ReplicationTask.__pydantic_core_schema__)


class AnsweredReason(BaseModel):
    """Why a setting was chosen."""

    model_config = ConfigDict(extra="forbid")
    path: str = Field(description="Path of the setting, such as task.cdc_settings.mode.")
    reason: str


class Answer(BaseModel):
    """What a model answers with; `settings` have the schema of the settings model, which validates them."""

    model_config = ConfigDict(extra="forbid")
    settings: Annotated[dict[str, Any], _AsTaskSettings()]
    reasons: list[AnsweredReason] = Field(default=[])


@dataclass(frozen=True, slots=True)
class ModelDrafter:
    """Drafts with a model.

    `create_agent` makes a pydantic-ai agent of `output_type`, `instructions` and other arguments of Agent.
    What does not validate goes back to the model at most `corrections` times.
    `is_unwanted` is looked at while the model is waited for: once it says so, there is no draft.
    """

    create_agent: Callable[..., Any]
    name: str
    corrections: int = CORRECTIONS
    timeout_seconds: float = TIMEOUT_SECONDS
    is_unwanted: Callable[[], bool] = lambda: False

    def draft(self, description: str, grounds: Grounds) -> Draft:
        """Return a draft, with its problems when the last one did not validate either.

        Raise ModelError when the model cannot be asked, or has answered with no settings at all.
        """
        conversation = _Conversation(description, grounds)
        agent = self._agent(conversation)
        try:
            asyncio.run(self._ask(agent, request_text(description, grounds)))
        except TrempyError:
            raise
        except asyncio.TimeoutError:  # another class than the built-in one before Python 3.11
            if conversation.settings is None:
                raise ModelError(f"no answer within {self.timeout_seconds:g} s") from None
        except Exception as error:  # noqa: BLE001  # each provider's client has errors of its own
            if conversation.settings is None:
                # The error's text may quote what was sent, the key too.
                raise ModelError(f"the model gave no draft: {_kind_of(error)}") from None
        return conversation.draft(author=self.name)

    def _agent(self, conversation: _Conversation) -> Any:
        try:
            from pydantic_ai import PromptedOutput  # noqa: PLC0415  # see the module's docstring
        except ImportError as error:
            raise ConfigurationError(
                "drafting with a model needs the extra `ai`",
                hint="pip install 'airflow-provider-trempy[ai]', or draft without a model.",
            ) from error
        agent = self.create_agent(
            output_type=PromptedOutput(Answer),
            instructions=instructions(),
            tools=[conversation.advise, conversation.describe_table],
            model_settings={"temperature": 0.0, "timeout": self.timeout_seconds},
            retries={"tools": 1, "output": self.corrections},
        )
        agent.output_validator(conversation.check)
        return agent

    async def _ask(self, agent: Any, message: str) -> None:
        await asyncio.wait_for(self._while_wanted(agent.run(message)), self.timeout_seconds)

    async def _while_wanted(self, answering: Coroutine[Any, Any, Any]) -> None:
        answer = asyncio.ensure_future(answering)
        try:
            while not answer.done():
                if self.is_unwanted():
                    raise ModelError("nobody waits for it any more")
                await asyncio.wait({answer}, timeout=_POLL_SECONDS)
            answer.result()
        finally:
            answer.cancel()


@dataclass(slots=True)
class _Conversation:
    """What a model is told and has answered so far."""

    description: str
    grounds: Grounds
    settings: Mapping[str, Any] | None = None
    reasons: tuple[Reason, ...] = ()
    problems: tuple[FieldProblem, ...] = field(default=())

    def advise(self, request: str) -> dict[str, Any]:
        """Draft settings without filters and transformations, with reasons and warnings.

        Args:
            request: What is to be replicated; tables by their names in the catalogue.
        """
        try:
            return dict(hidden(advise(request, self.grounds).as_dict()))
        except ConfigurationError as error:
            return {"error": without_secrets(error.explanation)}

    def describe_table(self, schema_name: str, table_name: str) -> dict[str, Any]:
        """Describe a table of the catalogue: columns, types, keys, references, sizes, statistics.

        Args:
            schema_name: Its schema.
            table_name: Its name.
        """
        table = self.grounds.catalogue.find(QualifiedName(schema_name, table_name))
        return {"error": "the source has no such table"} if table is None else table_facts(table)

    def check(self, answer: Answer) -> Answer:
        """Return an answer whose settings can be saved; else send the problems back to the model."""
        from pydantic_ai import ModelRetry  # noqa: PLC0415  # it is there, or nobody had answered

        self.settings = answer.settings
        self.reasons = tuple(Reason(each.path, each.reason) for each in answer.reasons)
        self.problems = find_problems(answer.settings, self.grounds)
        if self.problems:
            raise ModelRetry(problems_text(self.problems))
        return answer

    def draft(self, *, author: str) -> Draft:
        """Return the last draft, with a reason for each setting: valid, or with its problems."""
        assert self.settings is not None
        task = _loaded(self.settings)
        warnings = () if task is None else warnings_of(task, self.grounds.catalogue, self.grounds.history)
        reasons = self.reasons
        if task is not None:
            advice, frame = self._advice(), self.grounds.frame
            reasons = complete_reasons(self.settings, reasons, advice=advice, frame=frame)
        is_valid = not self.problems
        return Draft(
            self.settings, author, task if is_valid else None, reasons, warnings, problems=self.problems
        )

    def _advice(self) -> Draft | None:
        try:
            return advise(self.description, self.grounds)
        except ConfigurationError:  # it names no table in words that the advisor knows
            return None


def _loaded(settings: Mapping[str, Any]) -> ReplicationTask | None:
    try:
        return load_task(settings, origin=ORIGIN)
    except SettingsError:
        return None


def _kind_of(error: Exception) -> str:
    """Name an error without its text."""
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"{type(error).__name__}, HTTP status {status}"
