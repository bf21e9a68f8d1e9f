-- List the lasting slots of this database that have names as tasks give them, with what each keeps of the WAL.
select slot_name::text, active,
       case when not pg_is_in_recovery()
            then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end as retained_bytes
from pg_replication_slots
where slot_type = 'logical' and not temporary and database = current_database()
  and starts_with(slot_name::text, %(prefix)s)
order by slot_name
