-- Wait until no other lane of a task looks at its dead letters.
select pg_advisory_lock(hashtextextended('trempy.letters ' || %(task_name)s, 0))
