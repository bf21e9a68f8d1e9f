-- Of the types named, list those that exist, with the labels of enums.
select n.nspname::text, t.typname::text,
       (select array_agg(l.enumlabel::text order by l.enumsortorder) from pg_enum l where l.enumtypid = t.oid) as labels
from unnest(%(schemas)s::text[], %(types)s::text[]) as wanted (schema_name, type_name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_type t on t.typnamespace = n.oid and t.typname = wanted.type_name
