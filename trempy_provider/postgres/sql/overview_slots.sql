-- Read the slots of tasks, and how much more WAL the server lets each of them retain.
select slot_name, active, wal_status,
       case when not pg_is_in_recovery()
            then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end,
       safe_wal_size
from pg_replication_slots
where slot_name = any(%(slot_names)s)
