-- Record what capture has published, before the slot may move; a late writer never takes anything back.
update trempy.capture_progress
set published_lsn = greatest(published_lsn, %(published_lsn)s::pg_lsn),
    published_commit_at = case when %(published_lsn)s::pg_lsn > published_lsn then %(published_commit_at)s
                               else published_commit_at end,
    idle = case when %(published_lsn)s::pg_lsn >= published_lsn then %(idle)s else idle end,
    seen_lsn = greatest(seen_lsn, %(seen_lsn)s::pg_lsn),
    seen_at = clock_timestamp(),
    batch_count = batch_count + %(batch_count)s,
    change_count = change_count + %(change_count)s,
    published_bytes = published_bytes + %(published_bytes)s
where task_name = %(task_name)s
