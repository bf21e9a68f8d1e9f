from collections.abc import Callable
from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.loading import LoadingTask


@pytest.fixture
def make_loading(databases: DatabasePair, make_task_name: Callable[[], str]) -> Callable[..., LoadingTask]:
    """Make full-load tasks over the test's databases."""

    def make(*tables: str, **settings: Any) -> LoadingTask:
        return LoadingTask(databases, make_task_name(), tables or ("public.*",), **settings)

    return make
