"""Capture and apply that run while passwords change go on with the new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support.databases import DatabasePair
from tests.support.wait import wait_until
from trempy_provider.config.loader import load_task
from trempy_provider.hooks.endpoints import TaskEndpoints, endpoints_of
from trempy_provider.jobs.apply import apply
from trempy_provider.jobs.capture import capture
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.teardown import teardown

NEW_PASSWORD = "changed"


@contextmanager
def running(task, endpoints: TaskEndpoints) -> Iterator[None]:
    """Run both halves; what they raise, the block's end raises."""
    stop, errors = StopSignal(), []

    def run(job: Callable[..., object], **given: object) -> None:
        try:
            job(task, target=endpoints.target, broker=endpoints.broker, lease=Lease(), stop=stop, **given)
        except Exception as error:  # noqa: BLE001 — raised below
            errors.append(error)

    halves = [
        threading.Thread(target=run, args=[capture], kwargs={"source": endpoints.source}),
        threading.Thread(target=run, args=[apply]),
    ]
    for half in halves:
        half.start()
    try:
        yield
    finally:
        stop.set()
        for half in halves:
            half.join(30)
    if errors:
        raise errors[0]


def with_new_password(uri: str) -> str:
    parts = urlsplit(uri)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{NEW_PASSWORD}@{address}"))


def test_capture_and_apply_go_on_with_passwords_changed_meanwhile(
    connections: DatabasePair,
    settings,
    rabbitmqctl: Callable[..., str],
    rabbitmq_uri: str,
    monkeypatch: pytest.MonkeyPatch,
):
    user = f"user_{settings['task']['task_name']}"
    rabbitmqctl("add_user", user, "first")
    rabbitmqctl("set_permissions", user, ".*", ".*", ".*")
    broker_uri = rabbitmq_uri.replace("amqp://", "rabbitmq://", 1)
    address = urlsplit(broker_uri).netloc.rpartition("@")[2]
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_BROKER", f"rabbitmq://{user}:first@{address}/%2F")
    connections.source_admin.execute("create table public.orders (id int primary key)")
    task = load_task(settings, origin="test")
    endpoints = endpoints_of(task)
    setup(task, source=endpoints.source, target=endpoints.target, broker=endpoints.broker)
    full_load(task, source=endpoints.source, target=endpoints.target)

    with running(task, endpoints):
        insert_and_wait(connections, 1)
        for side in ("source", "target"):
            provider = getattr(connections, side)
            superuser = getattr(connections, f"{side}_superuser")
            superuser.execute(f"alter role {provider.role} password '{NEW_PASSWORD}'")
            monkeypatch.setenv(f"AIRFLOW_CONN_TREMPY_{side.upper()}", with_new_password(provider.uri))
            superuser.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = %s",
                [provider.role],
            )
        rabbitmqctl("change_password", user, NEW_PASSWORD)
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_BROKER", f"rabbitmq://{user}:{NEW_PASSWORD}@{address}/%2F")
        rabbitmqctl("close_all_user_connections", user, "the password has changed")

        insert_and_wait(connections, 2)

    teardown(task, source=endpoints.source, target=endpoints.target, broker=endpoints.broker)
    rabbitmqctl("delete_user", user)


def insert_and_wait(databases: DatabasePair, row_id: int) -> None:
    databases.source_admin.execute("insert into public.orders values (%s)", [row_id])
    query = "select count(*) from public.orders where id = %s"
    wait_until(
        lambda: databases.target_superuser.fetch_value(query, [row_id]),
        timeout_seconds=60,
        what=f"row {row_id} on the target",
    )
