-- Make sure that the load of a table is still this process's, and keep it so until the transaction ends.
select true
from trempy.table_states
where task_name = %(task_name)s
  and source_oid = %(source_oid)s
  and state = 'loading'
  and load_started_at = %(started_at)s
for update
