-- Forget the chunks of transactions that are applied, or were sent again from their start.
delete from trempy.held_changes
where task_name = %(task_name)s
  and source_oid is null
  and commit_lsn <= %(commit_lsn)s
  and (chunk_id <> %(keep_chunk_id)s or %(keep_chunk_id)s is null)
