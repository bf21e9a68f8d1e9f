-- Tell of each schema named whether it exists, and whether the role may use it and create in it.
select wanted.name, n.oid is not null,
       coalesce(has_schema_privilege(n.oid, 'usage'), false), coalesce(has_schema_privilege(n.oid, 'create'), false)
from unnest(%(names)s::text[]) as wanted (name)
left join pg_namespace n on n.nspname = wanted.name
