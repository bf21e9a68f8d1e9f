"""Sessions with source, target and metadata database: pinned settings, translated errors, transactions.

A session is autocommit outside `transaction()`.
Its settings are pinned so that a value's text form is the same on both sides, whatever the server, the
database or the role has been configured to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Any, Protocol

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import encodings as python_encodings

from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.translation import (
    SourceStatementError,
    TargetStatementError,
    describe,
    translate,
)

PINNED_SETTINGS = {
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "60s",
    "synchronous_commit": "on",
}
Query = str | bytes | sql.Composable
_DEADLOCK_DETECTED = "40P01"
_DEADLOCK_ATTEMPTS = 5


class Reader(Protocol):
    """What COPY FROM STDIN reads from."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""

    def readline(self, size: int = ..., /) -> bytes:
        """Return a line; COPY never asks for one."""


class Writer(Protocol):
    """What COPY TO STDOUT writes to."""

    def write(self, chunk: bytes, /) -> object:
        """Take a chunk."""


def application_name_of(task_name: str, job: str) -> str:
    """Return the name under which a server's activity view shows a job of a task; servers cut longer ones."""
    return f"trempy/{task_name}/{job}"[:63]


class Endpoint:
    """A database of a task: opens sessions, reading the parameters anew each time.

    `role` is source, target or metadata.
    """

    def __init__(
        self,
        read_parameters: Callable[[], ConnectionParameters],
        *,
        task_name: str,
        role: str,
        read_salt: Callable[[str], str | None] = lambda _: None,
        metadata: Endpoint | None = None,
    ) -> None:
        self._read_parameters = read_parameters
        self._read_salt = read_salt
        self._metadata = metadata
        self.task_name = task_name
        self.role = role

    @property
    def metadata(self) -> Endpoint:
        """Where a target's task keeps the metadata that need not commit with rows: here, or elsewhere."""
        return self._metadata or self

    def parameters(self) -> ConnectionParameters:
        """Return the connection's fields as they are now."""
        return self._read_parameters()

    def read_salt(self, conn_id: str) -> str:
        """Return the salt that a connection's password is; raise ConfigurationError when it has none."""
        salt = self._read_salt(conn_id)
        if not salt:
            raise ConfigurationError(
                f"there is no salt to hash with: connection {conn_id!r} has no password",
                hint="Make the connection (of any type) in Airflow; for the command, set TREMPY_SALT.",
            )
        return salt

    def application_name(self, job: str) -> str:
        """Return the name under which the server's activity view shows a job."""
        return application_name_of(self.task_name, job)

    def connect(self, job: str) -> Session:
        """Open a session; raise SourceError or TargetError subclasses."""
        return Session(self.parameters(), role=self.role, application_name=self.application_name(job))


class Session:
    """One connection to a server; not shared between threads, except for `cancel`.

    `lane` is the lane of apply that it works for: its checkpoint is that lane's; None for all others.
    """

    def __init__(self, parameters: ConnectionParameters, *, role: str, application_name: str) -> None:
        self.parameters = parameters
        self.role = role
        self.lane: int | None = None
        with self._translated():
            self._connection = psycopg2.connect(parameters.dsn(application_name=application_name))
            self._connection.autocommit = True
            self._pin()

    def _pin(self) -> None:
        assignments = sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in PINNED_SETTINGS.items()
        )
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("select {}").format(assignments))
        self._connection.set_client_encoding("UTF8")

    @property
    def server_version(self) -> int:
        """The server's version as a number: 150018 for 15.18."""
        return int(self._connection.server_version)

    @property
    def backend_pid(self) -> int:
        """The process id of the server process."""
        return int(self._connection.info.backend_pid)

    @property
    def in_transaction(self) -> bool:
        """Tell whether a transaction is open."""
        return bool(self._connection.info.transaction_status != TRANSACTION_STATUS_IDLE)

    @property
    def closed(self) -> bool:
        """Tell whether the connection is closed or known to be lost."""
        return bool(self._connection.closed)

    def representable(self, text: str) -> str:
        """Return a text with the characters that the database's encoding lacks written as escapes."""
        encoding = python_encodings.get(
            self._connection.info.parameter_status("server_encoding") or "", "ascii"
        )
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def execute(self, query: Query, params: Any = None) -> int:
        """Run a statement and return its row count."""
        with self._executed(query, params) as cursor:
            return int(cursor.rowcount)

    def fetch_all(self, query: Query, params: Any = None) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        with self._executed(query, params) as cursor:
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def fetch_one(self, query: Query, params: Any = None) -> tuple[Any, ...] | None:
        """Run a query and return its first row, or None."""
        with self._executed(query, params) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def fetch_value(self, query: Query, params: Any = None) -> Any:
        """Run a query and return the first column of its first row, or None."""
        row = self.fetch_one(query, params)
        return None if row is None else row[0]

    def text_of(self, query: sql.Composable) -> str:
        """Return composed SQL as text, for people."""
        return str(query.as_string(self._connection))

    def copy_to(self, query: Query, stream: Writer) -> int:
        """Run COPY … TO STDOUT into `stream` and return the row count."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.copy_expert(query, stream, 1 << 18)
            return int(cursor.rowcount)

    def copy_from(self, query: Query, stream: Reader) -> int:
        """Run COPY … FROM STDIN from `stream` and return the row count."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.copy_expert(query, stream, 1 << 18)
            return int(cursor.rowcount)

    @contextmanager
    def transaction(self, *, isolation: str | None = None, read_only: bool = False) -> Iterator[None]:
        """Run the block in one transaction: commit at its end, roll back when it raises."""
        begin = "begin" + (f" isolation level {isolation}" if isolation else "")
        self.execute(begin + (" read only" if read_only else ""))
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self.execute("commit")

    def transact(self, work: Callable[[], None]) -> None:
        """Run `work` in one transaction, and again when it was chosen to resolve a deadlock."""
        for attempts_left in reversed(range(_DEADLOCK_ATTEMPTS)):
            try:
                with self.transaction():
                    work()
                break
            except (SourceStatementError, TargetStatementError) as error:
                if error.sqlstate != _DEADLOCK_DETECTED or not attempts_left:
                    raise

    def _roll_back(self) -> None:
        if not self._connection.closed:
            try:
                with self._connection.cursor() as cursor:  # rollback() does nothing in autocommit
                    cursor.execute("rollback")
            except psycopg2.Error:  # the connection is gone: so is the transaction
                self._connection.close()

    @contextmanager
    def savepoint(self, name: str) -> Iterator[None]:
        """Run the block under a savepoint: undo it, and only it, when the block raises."""
        identifier = sql.Identifier(name)
        self.execute(sql.SQL("savepoint {}").format(identifier))
        try:
            yield
        except BaseException:
            if not self._connection.closed:
                self.execute(sql.SQL("rollback to savepoint {0}; release savepoint {0}").format(identifier))
            raise
        self.execute(sql.SQL("release savepoint {}").format(identifier))

    def notices(self) -> list[str]:
        """Return and forget the server's notices."""
        notices = [notice.strip() for notice in self._connection.notices]
        self._connection.notices.clear()
        return notices

    def cancel(self) -> None:
        """Ask the server to cancel the running statement; may be called from another thread."""
        if not self._connection.closed:
            with self._translated():
                self._connection.cancel()

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _executed(self, query: Query, params: Any) -> Iterator[Any]:
        """Run a statement; one that is a transaction of its own runs again after a deadlock.

        Whoever waits in a queue of locks may be chosen to resolve a deadlock between others.
        """
        attempts_left = 0 if self.in_transaction else _DEADLOCK_ATTEMPTS - 1
        with self._translated(), self._connection.cursor() as cursor:
            while True:
                try:
                    cursor.execute(query, params)
                    break
                except psycopg2.errors.DeadlockDetected:
                    if not attempts_left:
                        raise
                    attempts_left -= 1
            yield cursor

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            translated = translate(error, role=self.role, where=self.parameters.where)
            # The driver's own text has the statement's line and the row in it; tracebacks are logged.
            error.args = (describe(error),)
            raise translated from error


@cache
def static_sql(name: str) -> str:
    """Return the text of `postgres/sql/<name>.sql`."""
    query = files("trempy_provider.postgres") / "sql" / f"{name}.sql"
    return query.read_text(encoding="utf-8")
