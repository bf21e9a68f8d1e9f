-- Read a replication slot; fields that newer servers added are null on older ones.
select s.slot_type, s.plugin::text, s.database::text, s.active, s.active_pid,
       (select a.application_name from pg_stat_activity a where a.pid = s.active_pid) as active_application,
       s.confirmed_flush_lsn, s.restart_lsn, s.wal_status,
       to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason,
       coalesce((to_jsonb(s) ->> 'conflicting')::boolean, false) as is_conflicting,
       case when not pg_is_in_recovery()
            then pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint end as retained_bytes,
       coalesce((to_jsonb(s) ->> 'failover')::boolean, false) as is_synchronized
from pg_replication_slots s
where s.slot_name = %(name)s
