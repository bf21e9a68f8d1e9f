-- Of the sequences named, list those that the role owns.
select n.nspname::text, c.relname::text
from unnest(%(schemas)s::text[], %(names)s::text[]) as wanted (schema_name, name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind = 'S'
where pg_has_role(c.relowner, 'usage')
