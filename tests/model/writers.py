"""Writers: each commits random transactions through a connection of its own, for as long as it is let.

Every transaction writes its number into a journal (a table without a key) and into its writer's row of
`steps`: whoever looks at the target sees whether each arrived, whole and once.
The statements follow from the seed; what they meet follows from the other writers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import Random
from typing import Any

import psycopg2
from psycopg2 import sql

from tests.model.operations import random_statements
from tests.model.schema_changes import change_schema
from tests.model.tables import SCHEMA, ModelTable

CREATE_JOURNAL = """
create table model.journal (writer integer, step bigint);
alter table model.journal replica identity full;
create table model.steps (writer integer primary key, step bigint not null);
"""
JOURNAL_TABLES = ("model.journal", "model.steps")
ISOLATION_LEVELS = ("read committed", "read committed", "repeatable read", "serializable")
_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Writer(threading.Thread):
    """One writer; `pause` and `go_on` hold it between two transactions."""

    def __init__(
        self, number: int, *, seed: str, uri: str, tables: Sequence[ModelTable], changes_schema: bool
    ) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.number = number
        self.committed_count = 0
        self.error: BaseException | None = None
        self._random = Random(f"{seed} writer {number}")
        self._uri = uri
        self._tables = tables
        self._changes_schema = changes_schema
        self.schema_change_count = 0  # of those that committed
        self._may_write = threading.Event()
        self._is_idle = threading.Event()
        self._is_over = threading.Event()
        self._connection: Any = None
        self._step = 0

    def run(self) -> None:
        try:
            while not self._is_over.is_set():
                if not self._may_write.is_set():
                    self._is_idle.set()
                    self._may_write.wait(0.1)
                    continue
                self._is_idle.clear()
                self._work()
        except BaseException as error:  # noqa: BLE001 — raised by the test
            self.error = error
            self._is_idle.set()
        finally:
            self._disconnect()

    def go_on(self) -> None:
        self._is_idle.clear()
        self._may_write.set()

    def pause(self) -> None:
        """Let the writer end its transaction, and return when it has."""
        self._may_write.clear()
        assert self._is_idle.wait(60), f"{self.name} does not come to rest"

    def end(self) -> None:
        self._is_over.set()
        self._may_write.set()
        self.join(60)

    def _work(self) -> None:
        try:
            self._connect()
            self._transaction()
        except _LOST:
            self._disconnect()
            time.sleep(0.2)
        except psycopg2.Error:  # a deadlock, a violation, a serialization failure: all of it is rolled back
            self._execute(sql.SQL("rollback"))

    def _transaction(self) -> None:
        random = self._random
        self._execute(sql.SQL("begin isolation level " + random.choice(ISOLATION_LEVELS)))
        when_committed = None
        if self._changes_schema and random.random() < 0.02:
            when_committed = change_schema(random, random.choice(self._tables), self._execute)
        for _ in range(random.choice([1, 1, 2, 3, 5, 9])):
            self._operation()
            if random.random() < 0.05:
                time.sleep(random.uniform(0, 0.3))
        self._sign()
        if self._end_transaction() and when_committed is not None:
            when_committed()
            self.schema_change_count += 1

    def _operation(self) -> None:
        """Run an operation under a savepoint, which may be rolled back."""
        random = self._random
        statements = random_statements(random, self._tables)
        is_undone = random.random() < 0.1
        self._execute(sql.SQL("savepoint a"))
        try:
            for statement in statements:
                self._execute(statement)
        except (psycopg2.errors.IntegrityError, psycopg2.errors.DataError):
            is_undone = True
        self._execute(sql.SQL("rollback to a" if is_undone else "release a"))

    def _sign(self) -> None:
        values = {"writer": self.number, "step": self._step + 1}
        self._execute(sql.SQL("insert into model.journal values (%(writer)s, %(step)s)"), values)
        self._execute(
            sql.SQL(
                "insert into model.steps values (%(writer)s, %(step)s)"
                " on conflict (writer) do update set step = excluded.step"
            ),
            values,
        )

    def _end_transaction(self) -> bool:
        """Commit or roll back; return whether it is committed."""
        random = self._random
        if random.random() < 0.1:
            self._execute(sql.SQL("rollback"))
            return False
        if random.random() < 0.05:
            name = sql.Literal(self._prepared_name(self._step + 1))
            self._execute(sql.SQL("prepare transaction {}").format(name))
            time.sleep(random.uniform(0, 0.3))
            self._execute(sql.SQL("commit prepared {}").format(name))
        else:
            self._execute(sql.SQL("commit"))
        self._step += 1
        self.committed_count += 1
        return True

    def _connect(self) -> None:
        """Connect, commit what is prepared, and look how far the last transaction came."""
        if self._connection is not None:
            return
        self._connection = psycopg2.connect(self._uri, application_name=f"model/{self.number}")
        self._connection.autocommit = True
        self._execute(sql.SQL("set lock_timeout = '3s'; set statement_timeout = '30s'"))
        for name in self._fetch("select gid from pg_prepared_xacts where gid like %s", f"{self._prefix}%"):
            self._execute(sql.SQL("commit prepared {}").format(sql.Literal(name)))
        found = self._fetch("select step from model.steps where writer = %s", self.number)
        step = found[0] if found else 0
        self.committed_count += step - self._step
        self._step = step

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @property
    def _prefix(self) -> str:
        return f"{SCHEMA} {self.number} {self._uri.rpartition('/')[2]} "

    def _prepared_name(self, step: int) -> str:
        return f"{self._prefix}{step}"

    def _execute(self, statement: sql.Composable, values: object = None) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)

    def _fetch(self, query: str, value: object) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, [value])
            return [first for (first,) in cursor.fetchall()]
