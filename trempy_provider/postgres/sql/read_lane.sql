-- Read how far a lane is.
select end_lsn, commit_lsn, skip_lsn, committed_at, applied_at, transaction_count, change_count,
       states_version, capture_session, passed_over_count
from trempy.lanes
where task_name = %(task_name)s and lane = %(lane)s
