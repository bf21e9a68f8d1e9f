"""Metadata as an older version has left it, for what goes on with it, and for what says that it cannot."""

from __future__ import annotations

from tests.support.databases import Database

_UNDO = """
set search_path = trempy;
drop table statistics, table_statistics, applied_batches, lanes, announcements;
alter table tasks drop pause_count;
alter table table_states drop component, drop lane;
alter table held_chunks drop lane,
    add primary key (task_name, session_number, transaction_id, chunk_index);
alter table rolled_back_subtransactions drop lane,
    add primary key (task_name, session_number, transaction_id, subtransaction_id);
delete from migrations where name > '0010_metadata_database';
"""


def take_metadata_back(database: Database) -> None:
    """Undo the migrations after 0010."""
    database.execute(_UNDO)
