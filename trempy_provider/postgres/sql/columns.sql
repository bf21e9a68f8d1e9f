-- Describe the columns of the tables given by OID, with domains resolved to their base types.
-- What generated columns are computed from is read only by those who may wait for the tables.
select a.attrelid::bigint, a.attname::text, a.attnum, a.atttypid::bigint, format_type(a.atttypid, a.atttypmod),
       base.oid::bigint as base_type_oid,
       tn.nspname::text as type_schema,
       a.attnotnull,
       -- Without its table an expression is written without a lock on it; only generated columns need theirs.
       case when a.attgenerated = '' then pg_get_expr(d.adbin, 0)
            when %(waits)s then pg_get_expr(d.adbin, d.adrelid) end as default_sql,
       -- Built-in objects are pinned and have no dependency records: what is recorded is the user's.
       coalesce(
           not exists (select from pg_depend p
                       where p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.deptype = 'n'
                         and p.refclassid not in ('pg_type'::regclass, 'pg_collation'::regclass)
                         and (p.refclassid, p.refobjid) <> ('pg_class'::regclass::oid, a.attrelid))
           and not exists (select from regexp_matches(d.adbin::text, ':(?:opfuncid|funcid) ([0-9]+)', 'g') as found
                           join pg_proc f on f.oid = found[1]::oid
                           where f.provolatile = 'v'
                             and f.proname not in ('gen_random_uuid', 'clock_timestamp', 'random')),
           false) as default_is_safe,
       a.attidentity::text, a.attgenerated::text,
       (select array_agg(s.attname::text order by s.attnum)
        from pg_depend p
        join pg_attribute s on s.attrelid = a.attrelid and s.attnum = p.refobjsubid and s.attnum <> a.attnum
        where p.classid = 'pg_attrdef'::regclass and p.objid = d.oid
          and p.refclassid = 'pg_class'::regclass and p.refobjid = a.attrelid
          and a.attgenerated <> '') as generated_from,
       format_type(base.oid, -1) as base_type_name, format_type(base.oid, base.modifier) as stored_type_name,
       cn.nspname::text as collation_schema, co.collname::text as collation_name,
       sn.nspname::text as sequence_schema, sc.relname::text as sequence_name,
       equality.schema_name as equality_schema, equality.operator_name as equality_name,
       case when sq.seqrelid is not null
            then array[sq.seqstart, sq.seqincrement, sq.seqmin, sq.seqmax, sq.seqcache, sq.seqcycle::integer]
       end as sequence_options
from pg_attribute a
join pg_type t on t.oid = a.atttypid
join pg_namespace tn on tn.oid = t.typnamespace
cross join lateral (
    with recursive chain (oid, kind, base, modifier, base_modifier) as (
        select t.oid, t.typtype, t.typbasetype, a.atttypmod, t.typtypmod
        union all
        select b.oid, b.typtype, b.typbasetype, chain.base_modifier, b.typtypmod
        from chain join pg_type b on b.oid = chain.base
        where chain.kind = 'd'
    )
    select chain.oid, chain.modifier from chain where chain.kind <> 'd'
) as base
left join lateral (
    select n.nspname::text as schema_name, o.oprname::text as operator_name
    from pg_opclass c
    join pg_am m on m.oid = c.opcmethod and m.amname = 'btree'
    join pg_amop p on p.amopfamily = c.opcfamily and p.amopstrategy = 3
                  and p.amoplefttype = c.opcintype and p.amoprighttype = c.opcintype
    join pg_operator o on o.oid = p.amopopr
    join pg_namespace n on n.oid = o.oprnamespace
    where c.opcdefault and c.opcintype = base.oid and n.nspname <> 'pg_catalog'
) as equality on true
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation co on co.oid = a.attcollation and a.attcollation <> t.typcollation
left join pg_namespace cn on cn.oid = co.collnamespace
left join pg_depend sd on sd.refclassid = 'pg_class'::regclass and sd.refobjid = a.attrelid
                      and sd.refobjsubid = a.attnum and sd.classid = 'pg_class'::regclass
                      and sd.deptype in ('a', 'i')
                      and exists (select from pg_class q where q.oid = sd.objid and q.relkind = 'S')
left join pg_class sc on sc.oid = sd.objid
left join pg_namespace sn on sn.oid = sc.relnamespace
left join pg_sequence sq on sq.seqrelid = sc.oid
where a.attrelid = any (%(oids)s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
