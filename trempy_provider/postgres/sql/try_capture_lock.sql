-- Be the task's capture until the session ends, unless another session is.
select pg_try_advisory_lock(hashtextextended('trempy.capture ' || %(task_name)s, 0))
