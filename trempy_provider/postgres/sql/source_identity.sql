-- Identify the server, the timeline it writes (or replays) and the database.
select (select system_identifier::text from pg_control_system()),
       case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
            else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer end,
       current_database()::text
