"""The page's app for one task, without an Airflow around it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.page import Page
from tests.support.served_app import serving_app
from trempy_provider.config.task import ReplicationTask
from trempy_provider.plugins.api import airflow_access, app, rights, tasks


@contextmanager
def page_of_task(task: ReplicationTask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """Serve the page to somebody who may read everything of the task."""
    kept = json.dumps(task.model_dump(mode="json", by_alias=True, exclude_unset=True))
    monkeypatch.setattr(tasks, "read_variables", lambda _: {f"trempy_task_{task.task_name}": kept})
    monkeypatch.setattr(rights, "readable_dags", lambda _, dag_ids: set(dag_ids))
    monkeypatch.setattr(rights, "may_read_logs", lambda *_: True)
    served = app.create_app()
    served.dependency_overrides[airflow_access.current_user] = lambda: None
    with serving_app(served) as url:
        yield Page(url, None)
