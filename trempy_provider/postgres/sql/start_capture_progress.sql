-- Start a task's capture progress, or start it anew; starts of capture are counted on.
insert into trempy.capture_progress as present (task_name, published_lsn, seen_lsn, idle, session_number)
values (%(task_name)s, %(start)s, %(start)s, true, %(session_number)s)
on conflict (task_name) do update
set published_lsn = excluded.published_lsn, seen_lsn = excluded.seen_lsn, seen_at = now(), idle = true,
    published_commit_at = null,
    batch_count = 0, change_count = 0, published_bytes = 0,
    session_number = greatest(present.session_number, excluded.session_number)
