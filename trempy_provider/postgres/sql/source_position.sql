-- Read where the WAL is now, and the time by the server's clock.
select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
       clock_timestamp()
