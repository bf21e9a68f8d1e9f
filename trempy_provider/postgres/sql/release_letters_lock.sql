-- Let other lanes look at the dead letters.
select pg_advisory_unlock(hashtextextended('trempy.letters ' || %(task_name)s, 0))
