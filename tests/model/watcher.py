"""A reader of the target who looks, again and again, whether transactions are there whole and once."""

from __future__ import annotations

import threading

import psycopg2

from tests.support.databases import Database, connect

# In one snapshot: how many steps each writer has in the journal, and which one its row tells.
# A table that was loaded again is ahead of the other until apply has come to its snapshot.
LOOK = """
select s.writer, s.step, (select count(*) from model.journal j where j.writer = s.writer)
from model.steps s
where (select count(*) from trempy.table_states
       where target_schema = 'model' and target_table in ('journal', 'steps')
         and load_finished_at is not null
         and snapshot_lsn <= (select max(end_lsn) from trempy.checkpoints)) = 2
order by 1
"""


class Watcher(threading.Thread):
    """Looks several times a second; what it finds wrong is raised by `end`."""

    def __init__(self, target: Database) -> None:
        super().__init__(name="watcher", daemon=True)
        self._target = target
        self._is_over = threading.Event()
        self.look_count = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._is_over.wait(0.2):
            try:
                self._watch()
            except psycopg2.Error:  # the target restarts
                continue

    def _watch(self) -> None:
        with connect(self._target.uri) as connection, connection.cursor() as cursor:
            while not self._is_over.wait(0.1):
                cursor.execute(LOOK)
                for writer, step, count in cursor.fetchall():
                    if step != count:
                        self.wrong.append(f"writer {writer}: step {step}, but {count} in the journal")
                self.look_count += 1

    def end(self) -> None:
        self._is_over.set()
        self.join(30)
        assert not self.wrong, self.wrong[:10]
