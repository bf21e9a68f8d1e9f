-- Take the lock of one table's full load, unless another session has it.
select pg_try_advisory_lock(hashtextextended(format('trempy.full_load %%s %%s', %(task_name)s, %(source_oid)s), 0))
