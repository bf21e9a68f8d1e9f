-- Tell whether a schema has a relation of any kind under this name.
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = %(schema_name)s and c.relname = %(name)s)
