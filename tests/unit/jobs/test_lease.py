import time

import pytest

from trempy_provider.errors import StoppedError
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.replication.lsn import Lsn


def test_lease_without_bounds_is_never_reached():
    assert Lease().reached(Lsn(10**12), idle_for_seconds=10**6) is None


def test_lease_ends_when_the_position_is_at_the_lsn_to_catch_up_with():
    lease = Lease(caught_up_lsn=Lsn(100))

    assert lease.reached(Lsn(99)) is None
    assert lease.reached(None) is None
    assert lease.reached(Lsn(100)) is EndReason.CAUGHT_UP


def test_lease_ends_at_its_deadline():
    assert Lease(deadline=time.monotonic() - 1).reached(None) is EndReason.DEADLINE
    assert Lease.lasting(60).reached(None) is None
    assert Lease.lasting(0).reached(None) is EndReason.DEADLINE


def test_being_caught_up_counts_more_than_the_deadline():
    assert Lease.lasting(0, caught_up_lsn=Lsn(1)).reached(Lsn(1)) is EndReason.CAUGHT_UP


def test_lease_ends_on_silence():
    lease = Lease(idle_seconds=30)

    assert lease.reached(None, idle_for_seconds=29.9) is None
    assert lease.reached(None, idle_for_seconds=30) is EndReason.IDLE


def test_remaining_seconds_stay_between_zero_and_the_limit():
    assert Lease().remaining_seconds(at_most=1.0) == 1.0
    assert Lease.lasting(0).remaining_seconds(at_most=1.0) == 0.0
    assert Lease.lasting(100).remaining_seconds(at_most=1.0) == 1.0
    assert 0 < Lease.lasting(0.5).remaining_seconds(at_most=1.0) <= 0.5


def test_first_reason_to_stop_is_kept():
    stop = StopSignal()
    stop.raise_if_set()

    stop.set("on_kill")
    stop.set("again")

    assert stop.is_set()
    assert stop.wait(0)
    with pytest.raises(StoppedError, match="on_kill"):
        stop.raise_if_set()
