-- Tell whether everything committed on the source before a time is applied.
-- Past the last batch, capture has seen the source's WAL at seen_at without a change of this task.
select committed_at >= %(committed_at)s
       or (%(seen_at)s > %(committed_at)s and %(idle)s and end_lsn >= %(published_lsn)s::pg_lsn)
from trempy.checkpoints
where task_name = %(task_name)s
