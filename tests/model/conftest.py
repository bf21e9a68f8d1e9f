"""How long the model test runs, and with which seed."""

import secrets

import pytest

MARGIN_SECONDS = 600  # for the last comparison, on a busy machine


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds = 60 * config.getoption("--model-minutes") + MARGIN_SECONDS
    for item in items:
        if item.get_closest_marker("model") is not None:
            item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture
def model_seconds(pytestconfig: pytest.Config) -> float:
    return 60 * float(pytestconfig.getoption("--model-minutes"))


@pytest.fixture
def model_seed(pytestconfig: pytest.Config) -> str:
    """The seed that was asked for, or a new one."""
    return str(pytestconfig.getoption("--model-seed") or secrets.token_hex(4))
