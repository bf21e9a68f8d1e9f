-- Try to be the only process that sets a task up or tears it down.
select pg_try_advisory_lock(hashtextextended('trempy.setup ' || %(task_name)s, 0))
