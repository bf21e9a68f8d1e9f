-- Read how far a task has been applied.
select end_lsn, commit_lsn, skip_lsn, committed_at, applied_at, transaction_count, change_count,
       states_version, capture_session, passed_over_count
from trempy.checkpoints
where task_name = %(task_name)s
