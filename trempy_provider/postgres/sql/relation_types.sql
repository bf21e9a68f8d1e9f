-- Return the types of a relation's columns as this server knows them: built-in ones by OID, others by name.
select format_type(t.oid, wanted.modifier), format_type(base.oid, -1), base.oid::bigint
from unnest(%(oids)s::bigint[], %(modifiers)s::integer[], %(schemas)s::text[], %(names)s::text[])
     with ordinality as wanted (oid, modifier, schema_name, type_name, position)
left join pg_namespace n on n.nspname = wanted.schema_name
left join pg_type t
    on case when wanted.type_name is null then t.oid = wanted.oid::oid
            else t.typnamespace = n.oid and t.typname = wanted.type_name end
left join lateral (
    with recursive chain (oid, kind, base) as (
        select t.oid, t.typtype, t.typbasetype
        union all
        select b.oid, b.typtype, b.typbasetype
        from chain join pg_type b on b.oid = chain.base
        where chain.kind = 'd'
    )
    select chain.oid from chain where chain.kind <> 'd'
) as base on true
order by wanted.position
