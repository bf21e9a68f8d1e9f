-- Read up to where the server has written WAL, and up to where it is flushed.
select pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()
