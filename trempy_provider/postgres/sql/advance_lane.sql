-- Record that a lane has applied everything up to end_lsn, in the transaction that applies it.
update trempy.lanes
set end_lsn = %(end_lsn)s,
    commit_lsn = %(commit_lsn)s,
    committed_at = %(committed_at)s,
    applied_at = clock_timestamp(),
    transaction_count = transaction_count + %(transaction_count)s,
    change_count = change_count + %(change_count)s
where task_name = %(task_name)s and lane = %(lane)s
