-- Forget changes of a table that have been replayed.
delete from trempy.held_changes
where task_name = %(task_name)s
  and source_oid = %(source_oid)s
  and held_id <= %(until)s
