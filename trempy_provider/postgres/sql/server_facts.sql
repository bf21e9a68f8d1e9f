-- Describe the server, the database and what the role may do there.
select current_setting('server_version_num')::integer as version,
       current_user::text as role,
       current_database()::text as database,
       r.rolsuper as is_superuser,
       r.rolsuper or r.rolreplication
           or exists (select from pg_roles g where g.rolname = 'rds_replication'
                      and pg_has_role(current_user, g.oid, 'member')) as may_replicate,
       has_database_privilege(d.oid, 'create') as may_create,
       has_database_privilege(d.oid, 'temporary') as may_create_temporary,
       has_parameter_privilege('session_replication_role', 'set') as may_set_replica_role,
       pg_is_in_recovery() as is_standby,
       current_setting('wal_level') as wal_level,
       current_setting('max_replication_slots')::integer as max_slots,
       (select count(*) from pg_replication_slots) as slot_count,
       current_setting('max_wal_senders')::integer as max_walsenders,
       (select count(*) from pg_stat_get_wal_senders()) as walsender_count,
       pg_size_bytes(current_setting('max_slot_wal_keep_size')) as slot_wal_keep_bytes,
       pg_encoding_to_char(d.encoding)::text as encoding,
       concat_ws(' ', to_jsonb(d) ->> 'datlocprovider',
                 coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate::text),
                 d.datctype) as collation,
       d.datcollversion as collation_version
from pg_database d
join pg_roles r on r.rolname = current_user
where d.datname = current_database()
