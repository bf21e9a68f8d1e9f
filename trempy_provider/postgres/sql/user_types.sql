-- Describe the types that are not built in which the types given by OID rest on, and themselves, leaves first.
with recursive needed (oid, depth) as (
    select unnest(%(oids)s::bigint[])::oid, 0
    union all
    select rests_on.oid, needed.depth + 1
    from needed
    join pg_type t on t.oid = needed.oid and t.oid >= 16384  -- FirstNormalObjectId
    cross join lateral (
        select t.typelem where t.typelem <> 0 and t.typcategory = 'A'
        union all
        select t.typbasetype where t.typtype = 'd'
        union all
        select a.atttypid from pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select r.rngsubtype from pg_range r where t.typtype = 'r' and r.rngtypid = t.oid
        union all
        select r.rngtypid from pg_range r where t.typtype = 'm' and r.rngmultitypid = t.oid
    ) as rests_on (oid)
)
select n.nspname::text, t.typname::text, t.typtype::text, e.extname::text,
       t.typtype = 'c' and c.relkind <> 'c' as is_row_type,
       (select array_agg(l.enumlabel::text order by l.enumsortorder) from pg_enum l where l.enumtypid = t.oid) as labels,
       case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod)
            when t.typtype = 'r' then (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid)
       end as base_type,
       t.typnotnull,
       (select array_agg(pg_get_constraintdef(k.oid) order by k.conname)
        from pg_constraint k where k.contypid = t.oid and k.contype = 'c') as constraints,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as attribute_names,
       (select array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) from pg_attribute a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as attribute_types
from (select oid, max(depth) as depth from needed group by oid) as chosen
join pg_type t on t.oid = chosen.oid
join pg_namespace n on n.oid = t.typnamespace
left join pg_class c on c.oid = t.typrelid
left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
left join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
where t.oid >= 16384 and t.typtype <> 'm' and not (t.typelem <> 0 and t.typcategory = 'A')
order by chosen.depth desc, n.nspname, t.typname
