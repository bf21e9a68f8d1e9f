-- Forget the chunks of transactions that are applied.
delete from trempy.held_changes
where task_name = %(task_name)s
  and source_oid is null
  and commit_lsn <= %(commit_lsn)s
