-- Start a task's capture progress, or start it anew.
insert into trempy.capture_progress (task_name, published_lsn, seen_lsn, idle)
values (%(task_name)s, %(start)s, %(start)s, true)
on conflict (task_name) do update
set published_lsn = excluded.published_lsn, seen_lsn = excluded.seen_lsn, seen_at = now(), idle = true,
    published_commit_at = null,
    batch_count = 0, change_count = 0, published_bytes = 0
