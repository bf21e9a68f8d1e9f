-- Return where the WAL ends that has been written, whether it is on disk or not.
select pg_current_wal_insert_lsn()
