-- Let one process at a time change the metadata schema; the lock ends with the transaction.
select pg_advisory_xact_lock(hashtextextended('trempy.migrations', 0))
