"""The replication tasks that Airflow knows, with what is wrong with those that are broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trempy_provider.config.dag_names import all_dag_ids_of, dag_ids_of
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SettingsError, TrempyError
from trempy_provider.hooks.settings import TASK_VARIABLE_PREFIX, SettingsText, find_all_settings
from trempy_provider.plugins.api.airflow_access import read_variables


@dataclass(frozen=True, slots=True)
class KnownTask:
    """A task as its settings are now; without a valid form, `problem` says why."""

    settings: SettingsText
    task: ReplicationTask | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        """Return the task's name."""
        return self.settings.task_name

    @property
    def dag_ids(self) -> Mapping[str, str]:
        """Return the ids of its DAGs by purpose; of all that it may have, when the settings are broken."""
        return all_dag_ids_of(self.name) if self.task is None else dag_ids_of(self.task)


@dataclass(frozen=True, slots=True)
class KnownTasks:
    """All tasks by name, and the errors of places that cannot be read."""

    by_name: Mapping[str, KnownTask]
    problems: tuple[str, ...]


class TaskSettings:
    """Reads the settings of all tasks, and validates anew only what has changed."""

    def __init__(self) -> None:
        self._validated: dict[str, KnownTask] = {}

    def read(self) -> KnownTasks:
        """Look all tasks up."""
        found = find_all_settings(read_variables(TASK_VARIABLE_PREFIX))
        texts = [settings for settings in found if isinstance(settings, SettingsText)]
        tasks = {text.task_name: self._known(text) for text in texts}
        self._validated = tasks
        problems = tuple(str(error) for error in found if isinstance(error, SettingsError))
        return KnownTasks(tasks, problems)

    def _known(self, settings: SettingsText) -> KnownTask:
        former = self._validated.get(settings.task_name)
        return former if former is not None and former.settings == settings else validate(settings)


def validate(settings: SettingsText) -> KnownTask:
    """Return a task with its valid settings, or with what is wrong with them."""
    try:
        return KnownTask(settings, settings.load())
    except TrempyError as error:
        return KnownTask(settings, problem=str(error))
