"""A row that is changed last: where it has arrived, everything before it has.

Product and peer are measured by the same sign.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg2

from tests.support.databases import Database

MARKER_TABLE = "bench.marker"
CREATE_MARKER = (
    "create table bench.marker (id int primary key, n bigint); insert into bench.marker values (1, 0);"
)
_POLL_SECONDS = 0.01
_TIMEOUT_SECONDS = 900


def set_marker(owner: Database, number: int) -> None:
    """Change the marker on the source."""
    owner.execute("update bench.marker set n = %s", (number,))


def wait_for_marker(
    uri: str, number: int, *, table: str = MARKER_TABLE, check: Callable[[], None] = lambda: None
) -> None:
    """Wait until the marker's number is in a database, in its latest version; `check` is called now and then."""
    connection = psycopg2.connect(uri)
    connection.autocommit = True
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        with connection.cursor() as cursor:
            while True:
                cursor.execute(f"select max(n) from {table}")
                if cursor.fetchone() == (number,):
                    return
                check()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"marker {number} did not arrive within {_TIMEOUT_SECONDS} seconds")
                time.sleep(_POLL_SECONDS)
    finally:
        connection.close()
