-- Lock a task's checkpoint: only one transaction at a time changes the task's target tables.
select end_lsn, commit_lsn, skip_lsn, committed_at, applied_at, transaction_count, change_count,
       states_version, capture_session, passed_over_count
from trempy.checkpoints
where task_name = %(task_name)s
for update
