-- Read the oldest changes held for a table.
select held_id, commit_lsn, body
from trempy.held_changes
where task_name = %(task_name)s
  and source_oid = %(source_oid)s
  and held_id > %(after)s
order by held_id
limit %(limit)s
