-- Forget the transaction to skip once it is behind the checkpoint and waits nowhere else.
with wanted as (select skip_lsn from trempy.checkpoints where task_name = %(task_name)s)
update trempy.checkpoints c
set skip_lsn = null
from wanted w
where c.task_name = %(task_name)s
  and c.skip_lsn < c.end_lsn
  and not exists (select from trempy.held_changes h
                  where h.task_name = c.task_name and h.commit_lsn = c.skip_lsn)
  and not exists (select from trempy.dead_letters l
                  where l.task_name = c.task_name and l.state = 'passed_over'
                    and l.first_lsn <= c.skip_lsn and l.last_lsn > c.skip_lsn)
returning w.skip_lsn
