-- Tell whether everything committed on the source before a time is applied.
-- Past the last batch, capture has seen the source's WAL at seen_at without a change of this task.
select c.committed_at >= %(committed_at)s
       or (p.seen_at > %(committed_at)s and p.idle and c.end_lsn >= p.published_lsn)
from trempy.checkpoints c
join trempy.capture_progress p using (task_name)
where c.task_name = %(task_name)s
