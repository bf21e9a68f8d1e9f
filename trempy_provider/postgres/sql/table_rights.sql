-- Tell what the role may do with the tables given by OID.
select c.oid::bigint,
       has_schema_privilege(c.relnamespace, 'usage') as may_use_schema,
       has_schema_privilege(c.relnamespace, 'create') as may_create_in_schema,
       has_table_privilege(c.oid, 'select') as may_select,
       has_table_privilege(c.oid, 'insert') as may_insert,
       has_table_privilege(c.oid, 'update') as may_update,
       has_table_privilege(c.oid, 'delete') as may_delete,
       has_table_privilege(c.oid, 'truncate') as may_truncate,
       pg_has_role(c.relowner, 'usage') as owns,
       row_security_active(c.oid) as hides_rows,
       exists (select from pg_trigger t
               where t.tgrelid = c.oid and t.tgenabled in ('O', 'A') and not t.tgisinternal) as has_triggers,
       exists (select from pg_constraint k where k.contype = 'f' and c.oid in (k.conrelid, k.confrelid)) as has_foreign_keys
from pg_class c
where c.oid = any (%(oids)s::bigint[]::oid[])
