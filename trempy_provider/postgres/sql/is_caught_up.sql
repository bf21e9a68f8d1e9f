-- Tell whether everything committed on the source before an LSN is applied.
-- Past the last batch published, capture knows how far the WAL holds nothing for this task.
select end_lsn >= %(lsn)s::pg_lsn
       or (%(seen_lsn)s::pg_lsn >= %(lsn)s::pg_lsn and end_lsn >= %(published_lsn)s::pg_lsn)
from trempy.checkpoints
where task_name = %(task_name)s
