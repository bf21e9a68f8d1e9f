-- Keep a chunk of a transaction that is not complete yet; a chunk delivered twice is kept once.
insert into trempy.held_changes (task_name, commit_lsn, chunk_id, chunk_index, body)
values (%(task_name)s, %(commit_lsn)s, %(chunk_id)s, %(chunk_index)s, %(body)s)
on conflict (task_name, commit_lsn, chunk_id, chunk_index) where source_oid is null do nothing
