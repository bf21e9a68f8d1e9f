-- Let a lane forget the transaction to skip once it is behind the lane's checkpoint and waits nowhere else.
with wanted as (select skip_lsn from trempy.lanes where task_name = %(task_name)s and lane = %(lane)s)
update trempy.lanes c
set skip_lsn = null
from wanted w
where c.task_name = %(task_name)s and c.lane = %(lane)s
  and c.skip_lsn < c.end_lsn
  and not exists (select from trempy.held_changes h
                  where h.task_name = c.task_name and h.commit_lsn = c.skip_lsn)
  and not exists (select from trempy.dead_letters l
                  where l.task_name = c.task_name and l.state = 'passed_over'
                    and l.first_lsn <= c.skip_lsn and l.last_lsn > c.skip_lsn)
returning w.skip_lsn
