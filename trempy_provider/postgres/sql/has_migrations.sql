-- Tell whether the metadata schema has been created; to_regclass could answer from a cache older than a lock.
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'trempy' and c.relname = 'migrations')
