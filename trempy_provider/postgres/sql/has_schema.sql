-- Tell whether a schema exists.
select exists (select from pg_namespace where nspname = %(name)s)
