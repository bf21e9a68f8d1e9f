-- Tell whether everything committed on the source before an LSN is applied.
-- Past the last batch published, capture knows how far the WAL holds nothing for this task.
select c.end_lsn >= %(lsn)s::pg_lsn
       or (p.seen_lsn >= %(lsn)s::pg_lsn and c.end_lsn >= p.published_lsn)
from trempy.checkpoints c
join trempy.capture_progress p using (task_name)
where c.task_name = %(task_name)s
