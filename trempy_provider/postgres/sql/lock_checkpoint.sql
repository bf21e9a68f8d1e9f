-- Lock a task's checkpoint and those of its lanes: only one transaction at a time changes any target table.
select c.end_lsn, c.commit_lsn, c.skip_lsn, c.committed_at, c.applied_at, c.transaction_count, c.change_count,
       c.states_version, c.capture_session, c.passed_over_count
from (select count(*)
      from (select from trempy.lanes where task_name = %(task_name)s order by lane for update) locked) lanes,
     trempy.checkpoints c
where c.task_name = %(task_name)s
for update of c
