"""The supervision of the two halves of a run."""

import pytest

from trempy_provider.errors import StoppedError, TrempyError
from trempy_provider.jobs import run as module
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.run import RunReport, stop_halves


class FakeHalf:
    """A half that ends after some looks, or never by itself."""

    def __init__(self, name, *, looks=None, report=None, error=None, obeys=True):
        self.name = name
        self.looks = looks
        self.words = report or {"end_reason": "caught_up"}
        self.error = error
        self.obeys = obeys
        self.asked = self.killed = False

    def has_ended(self):
        if self.killed or (self.asked and self.obeys):
            return True
        if self.looks is None:
            return False
        self.looks -= 1
        return self.looks < 0

    def ask_to_stop(self):
        self.asked = True

    def kill(self):
        self.killed = True

    def report(self):
        if self.error is not None:
            raise self.error
        return self.words


def follow(capture, apply, stop=None):
    report = RunReport()
    halves = {half.name: half for half in (capture, apply)}
    module._follow(halves.__getitem__, stop or StopSignal(), report)
    return report


def test_run_ends_when_both_halves_have_ended():
    report = follow(FakeHalf("capture", looks=1), FakeHalf("apply", looks=3))

    assert set(report.halves) == {"capture", "apply"}


def test_failure_of_one_half_stops_the_other_and_is_raised():
    apply = FakeHalf("apply")

    with pytest.raises(TrempyError, match="gone"):
        follow(FakeHalf("capture", looks=0, error=TrempyError("gone")), apply)

    assert apply.asked


def test_half_stopped_by_somebody_else_ends_the_run():
    capture = FakeHalf("capture", looks=0, report={"end_reason": "stopped"})

    with pytest.raises(StoppedError, match="capture was stopped"):
        follow(capture, FakeHalf("apply"))


def test_half_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    deaf = FakeHalf("apply", obeys=False)

    stop_halves([FakeHalf("capture"), deaf])

    assert deaf.killed


def test_stop_takes_the_reports_of_halves_that_have_one(monkeypatch):
    stop = StopSignal()
    stop.set("test")
    started = []
    monkeypatch.setattr(module, "HALVES", ("capture",))
    half = FakeHalf("capture", report={"end_reason": "stopped"})

    with pytest.raises(StoppedError):
        module._follow(lambda _name: started.append(half) or half, stop, RunReport())

    assert not started
