"""Failures are waited out with growing pauses, until the job has shown that it works."""

from __future__ import annotations

import pytest

from trempy_provider.errors import SourceUnavailableError
from trempy_provider.jobs import backoff as backoff_module
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.lease import Lease


class RecordingStop:
    """A stop signal that nobody sets, and a clock that only its waits move."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.now = 1000.0

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return False


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> RecordingStop:
    stop = RecordingStop()
    monkeypatch.setattr(backoff_module.time, "monotonic", lambda: stop.now)
    return stop


@pytest.fixture
def backoff(stop: RecordingStop) -> Backoff:
    return Backoff(lease=Lease(), stop=stop)


def fail(backoff: Backoff, count: int) -> None:
    for _ in range(count):
        backoff.going_on()  # connected, and nothing has come yet
        backoff.wait(SourceUnavailableError("lost"))


def test_pauses_double_up_to_a_limit(backoff: Backoff, stop: RecordingStop):
    fail(backoff, 9)

    assert stop.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]


def test_success_makes_the_next_pause_short_again(backoff: Backoff, stop: RecordingStop):
    fail(backoff, 3)
    backoff.succeeded()

    fail(backoff, 1)

    assert stop.pauses[-1] == 0.2


def test_job_that_goes_on_for_long_has_succeeded(backoff: Backoff, stop: RecordingStop):
    fail(backoff, 3)
    stop.now += backoff_module.PROVEN_SECONDS
    backoff.going_on()

    fail(backoff, 1)

    assert stop.pauses[-1] == 0.2


def test_patience_ends_though_every_connection_lives_for_a_moment(backoff: Backoff, stop: RecordingStop):
    with pytest.raises(SourceUnavailableError):
        fail(backoff, 100)

    assert stop.now > 1000 + backoff_module.PATIENCE_SECONDS
