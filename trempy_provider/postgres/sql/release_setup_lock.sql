-- Let others set the task up again.
select pg_advisory_unlock(hashtextextended('trempy.setup ' || %(task_name)s, 0))
