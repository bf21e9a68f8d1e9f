-- Be the only validation of a task until the session ends, unless another session is.
select pg_try_advisory_lock(hashtextextended('trempy.validation ' || %(task_name)s, 0))
