-- Read one chunk of a large transaction.
select body
from trempy.held_changes
where task_name = %(task_name)s
  and source_oid is null
  and commit_lsn = %(commit_lsn)s
  and chunk_id = %(chunk_id)s
  and chunk_index = %(chunk_index)s
