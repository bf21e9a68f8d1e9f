"""The stream of a slot: a server that falls silent is left, one that shuts down is not kept waiting."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.databases import DatabasePair
from tests.support.proxy import Proxy
from tests.support.tasks import make_endpoint, open_source
from tests.support.wait import wait_until
from trempy_provider.errors import SourceUnavailableError
from trempy_provider.postgres import stream as stream_module
from trempy_provider.postgres.slot import create_slot
from trempy_provider.postgres.stream import ChangeStream, open_stream


@pytest.fixture
def proxy(databases: DatabasePair) -> Iterator[Proxy]:
    uri = urlsplit(databases.source_uri)
    proxy = Proxy(uri.hostname, uri.port)
    yield proxy
    proxy.close()


@pytest.fixture
def stream(databases: DatabasePair, proxy: Proxy) -> Iterator[ChangeStream]:
    """The stream of a slot, read through a proxy."""
    name = f"trempy_{secrets.token_hex(4)}"
    databases.source_admin.execute(f"create publication {name}")
    with open_source(databases) as source:
        create_slot(source, name, timeout_seconds=20)
    uri = urlsplit(databases.source_uri)
    address = f"{uri.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    source = make_endpoint(uri._replace(netloc=address).geturl(), "test", "source")
    stream = open_stream(source, job="capture", slot_name=name, publication_name=name)
    yield stream
    stream.close()


def test_what_ended_a_stream_is_said(stream: ChangeStream, databases: DatabasePair) -> None:
    databases.source_superuser.execute("select pg_terminate_backend(%s)", (stream.backend_pid,))

    with pytest.raises(SourceUnavailableError, match="administrator command"):
        stream.raise_if_ended(within_seconds=10)


def read(stream: ChangeStream, seconds: float) -> None:
    """Read as capture does while nothing comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        while stream.take():
            pass
        stream.read_socket(timeout_seconds=0.1)


def test_server_that_fell_silent_is_unavailable(stream: ChangeStream, proxy: Proxy, monkeypatch) -> None:
    monkeypatch.setattr(stream_module, "SILENCE_SECONDS", 1.0)
    proxy.hold()

    with pytest.raises(SourceUnavailableError, match="nothing"):
        read(stream, 30)


def test_server_with_nothing_to_say_is_asked_and_kept(stream: ChangeStream, monkeypatch) -> None:
    monkeypatch.setattr(stream_module, "SILENCE_SECONDS", 2.0)

    read(stream, 6)


def test_reader_that_was_busy_does_not_take_its_own_silence_for_the_servers(
    stream: ChangeStream, monkeypatch
) -> None:
    monkeypatch.setattr(stream_module, "SILENCE_SECONDS", 1.0)
    for _ in range(3):
        read(stream, 0.7)  # the server is asked, and its answer waits in the socket
        busy_until = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > busy_until)  # noqa: B023
