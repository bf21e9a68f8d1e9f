-- Let lanes begin where the task's checkpoint is; what was counted so far, lane 0 has.
insert into trempy.lanes (task_name, lane, end_lsn, commit_lsn, committed_at, applied_at, transaction_count,
                          change_count, states_version, capture_session, passed_over_count, skip_lsn)
select c.task_name, lane, c.end_lsn, c.commit_lsn, c.committed_at, c.applied_at, c.transaction_count,
       case when lane = 0 then c.change_count else 0 end, c.states_version, c.capture_session,
       c.passed_over_count, c.skip_lsn
from trempy.checkpoints c, generate_series(0, %(lane_count)s - 1) lane
where c.task_name = %(task_name)s
