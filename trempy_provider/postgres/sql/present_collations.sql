-- Of the collations named, list those that exist for this database's encoding.
select n.nspname::text, c.collname::text
from unnest(%(schemas)s::text[], %(collations)s::text[]) as wanted (schema_name, collation_name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_collation c on c.collnamespace = n.oid and c.collname = wanted.collation_name
where c.collencoding in (-1, (select encoding from pg_database where datname = current_database()))
