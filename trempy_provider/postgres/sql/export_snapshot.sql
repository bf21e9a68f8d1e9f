-- Export the transaction's snapshot, and the position of the WAL at this moment.
select pg_export_snapshot(),
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
