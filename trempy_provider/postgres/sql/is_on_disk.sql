-- Tell whether the WAL is on disk up to a position: no further can a slot be moved.
select pg_current_wal_flush_lsn() >= %(lsn)s::pg_lsn
