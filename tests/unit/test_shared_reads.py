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


def test_who_asks_for_more_than_a_running_read_gets_a_read_of_more() -> None:
    is_running, may_end = threading.Event(), threading.Event()
    reads = SharedReads(fresh_seconds=60)

    def read_less() -> str:
        is_running.set()
        may_end.wait(5)
        return "less"

    less, more = Read(frozenset("x"), read_less), Read(frozenset("xy"), lambda: "more")
    first = threading.Thread(target=reads.read, args=({"a": less},))
    first.start()
    is_running.wait(5)
    threading.Timer(0.1, may_end.set).start()

    assert reads.read({"a": more}) == {"a": Answer("more")}
    first.join()
    assert reads.read({"a": less}) == {"a": Answer("more")}


def test_a_failed_read_of_more_does_not_pass_off_the_value_of_less() -> None:
    def fail() -> int:
        raise TargetUnavailableError("target: gone")

    reads = SharedReads(fresh_seconds=60)
    less, more = Read(frozenset("x"), lambda: 1), Read(frozenset("xy"), fail)
    reads.read({"a": less})

    assert reads.read({"a": more}) == {"a": Answer(None, "target: gone")}
    assert reads.read({"a": more}) == {"a": Answer(None, "target: gone")}
    assert reads.read({"a": less}) == {"a": Answer(1, "target: gone")}


def test_who_asks_for_more_than_a_read_that_hangs_is_told_no_value_of_less() -> None:
    hanging = threading.Event()
    reads = SharedReads(wait_seconds=0.2, fresh_seconds=0)
    reads.read({"a": Read(frozenset("x"), lambda: 1)})
    reads.read({"a": Read(frozenset("x"), hanging.wait)})

    answer = reads.read({"a": Read(frozenset("xy"), lambda: 2)})["a"]

    assert answer.value is None
    assert answer.problem is not None and "no answer within" in answer.problem
    hanging.set()
