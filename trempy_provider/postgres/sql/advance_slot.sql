-- Move a slot that nobody reads to a position of the WAL, and return where it stands.
select end_lsn from pg_replication_slot_advance(%(name)s, %(lsn)s::pg_lsn)
