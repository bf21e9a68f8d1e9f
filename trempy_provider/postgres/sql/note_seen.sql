-- Record that capture has nothing to publish before an LSN, unless it has published meanwhile.
update trempy.capture_progress
set seen_lsn = greatest(seen_lsn, %(seen_lsn)s::pg_lsn)
where task_name = %(task_name)s and published_lsn = %(published_lsn)s
