-- Return an id above those of all transactions that have one.
select pg_snapshot_xmax(pg_current_snapshot())::text
