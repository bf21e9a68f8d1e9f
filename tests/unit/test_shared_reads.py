"""Many viewers cost one read, and a server that hangs holds up nothing but its own answer."""

import threading
import time

from trempy_provider.errors import TargetUnavailableError
from trempy_provider.plugins.api.shared_reads import Answer, Read, SharedReads

NOTHING = frozenset[str]()


def test_many_viewers_cost_one_read() -> None:
    calls = []
    reads = SharedReads(fresh_seconds=60)
    viewers = [
        threading.Thread(target=reads.read, args=({"a": Read(NOTHING, lambda: calls.append(1) or 7)},))
        for _ in range(20)
    ]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()

    assert calls == [1]
    assert reads.read({"a": Read(NOTHING, lambda: 8)}) == {"a": Answer(7)}
    assert reads.read({"a": Read(frozenset({"more"}), lambda: 8)}) == {"a": Answer(8)}


def test_a_read_that_hangs_is_told_while_the_others_are_answered() -> None:
    hanging = threading.Event()
    reads = SharedReads(wait_seconds=0.2)

    answers = reads.read({"a": Read(NOTHING, hanging.wait), "b": Read(NOTHING, lambda: 2)})
    began_at = time.monotonic()
    again = reads.read({"a": Read(NOTHING, hanging.wait), "b": Read(NOTHING, lambda: 2)})

    assert answers["b"] == again["b"] == Answer(2)
    assert answers["a"].problem is not None and "no answer within" in answers["a"].problem
    assert time.monotonic() - began_at < 0.15  # waited for once
    hanging.set()


def test_a_failure_is_told_with_what_was_known_before() -> None:
    def fail() -> int:
        raise TargetUnavailableError("target: gone")

    reads = SharedReads(fresh_seconds=0)
    reads.read({"a": Read(NOTHING, lambda: 1)})

    assert reads.read({"a": Read(NOTHING, fail)}) == {"a": Answer(1, "target: gone")}
    assert reads.read({"a": Read(NOTHING, lambda: 3)}) == {
        "a": Answer(1, "target: gone")
    }  # asked again later
    reads.forget("a")
    assert reads.read({"a": Read(NOTHING, lambda: 3)}) == {"a": Answer(3)}
