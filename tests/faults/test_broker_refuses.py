"""A broker that takes no messages is waited for; one that has lost messages stops the task loudly (G10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.halves import Half
from tests.support.site import Site
from tests.support.wait import wait_until


@contextmanager
def memory_alarm(rabbitmqctl: Callable[..., str]) -> Iterator[None]:
    rabbitmqctl("set_vm_memory_high_watermark", "0.000001")
    try:
        yield
    finally:
        rabbitmqctl("set_vm_memory_high_watermark", "0.8")


@contextmanager
def disk_alarm(rabbitmqctl: Callable[..., str]) -> Iterator[None]:
    rabbitmqctl("set_disk_free_limit", "1000000GB")
    try:
        yield
    finally:
        rabbitmqctl("set_disk_free_limit", "50MB")


@pytest.mark.parametrize("alarm", [memory_alarm, disk_alarm])
def test_alarm_is_waited_out(site: Site, rabbitmqctl: Callable[..., str], alarm):
    with site.going_on():
        site.wait_until_level()
        with alarm(rabbitmqctl):
            site.write()
            marker = site.mark()
            wait_until(lambda: blocked_connections(site, rabbitmqctl), timeout_seconds=30)
            assert not site.has_arrived(marker)

        site.assert_converged()


def blocked_connections(site: Site, rabbitmqctl: Callable[..., str]) -> bool:
    lines = rabbitmqctl("list_connections", "client_properties", "state").splitlines()
    return any(site.task_name in line and line.endswith(("blocked", "blocking")) for line in lines)


def test_full_queue_refuses_and_is_tried_again_more_and_more_rarely(
    site: Site, rabbitmqctl: Callable[..., str]
):
    site.wait_until_level()
    site.apply.kill()
    log_start = len(site.capture.log)
    limit = '{"max-length": 1, "overflow": "reject-publish"}'
    rabbitmqctl(
        "set_policy", "--apply-to", "queues", site.task_name, f"^trempy_queue_{site.task_name}$", limit
    )
    try:
        site.write()
        wait_until(lambda: len(pauses_of(site.capture, log_start)) >= 5, timeout_seconds=60)
    finally:
        rabbitmqctl("clear_policy", site.task_name)

    assert pauses_of(site.capture, log_start)[:5] == [0.2, 0.4, 0.8, 1.6, 3.2]
    site.start()
    site.assert_converged()


def pauses_of(half: Half, log_start: int) -> list[float]:
    return [float(found) for found in re.findall(r"trying again in ([\d.]+) s", half.log[log_start:])]


def test_deleted_queue_stops_both_and_setup_mends_it_if_nothing_was_in_it(site: Site):
    site.wait_until_level()
    wait_until(lambda: site.broker.depths().ready == 0)

    site.broker.delete_topology()
    site.write()

    assert site.capture.wait() == site.apply.wait() == 1
    assert "trempy setup" in last_line(site.capture)
    assert "trempy setup" in last_line(site.apply)
    site.command.done("setup")
    site.start()
    site.assert_converged()


def test_deleted_queue_with_messages_in_it_is_a_gap_that_reload_closes(site: Site):
    site.wait_until_level()
    site.apply.kill()
    site.write()
    wait_until(lambda: site.broker.depths().ready > 3, timeout_seconds=30)
    wait_until(lambda: published_past_applied(site), timeout_seconds=30)

    site.broker.delete_topology()
    site.write()

    assert site.capture.wait() == 1
    site.command.done("setup")
    site.start()
    assert site.apply.wait() == 1
    assert "batches between them are missing" in last_line(site.apply)
    assert "trempy reload" in last_line(site.apply)
    site.capture.kill()
    site.command.done("reload")
    site.start()
    site.assert_converged()


def published_past_applied(site: Site) -> bool:
    return bool(
        site.databases.target.fetch_value(
            "select published_lsn > end_lsn from trempy.capture_progress join trempy.checkpoints using (task_name)"
            " where task_name = %s",
            [site.task_name],
        )
    )


def last_line(half: Half) -> str:
    return half.log.splitlines()[-1]
