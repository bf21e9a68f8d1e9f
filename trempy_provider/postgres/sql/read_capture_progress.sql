-- Read what capture has published.
select published_lsn, idle, seen_lsn, seen_at, batch_count, change_count, published_bytes, published_commit_at
from trempy.capture_progress
where task_name = %(task_name)s
