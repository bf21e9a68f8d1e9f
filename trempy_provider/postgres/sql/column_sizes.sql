-- Return how large the values of the columns of relations can be: bytes (null: no limit), and their storage.
select a.attrelid::bigint, a.attname::text,
       case when base.typlen > 0 then base.typlen
            when base.typname in ('varchar', 'bpchar') and base.modifier >= 4
                then (base.modifier - 4) * pg_encoding_max_length(d.encoding) + 4
            when base.typname = 'numeric' and base.modifier >= 4
                then 12 + 2 * (((base.modifier - 4) >> 16) & 65535) / 4
            when base.typname in ('bit', 'varbit') and base.modifier >= 0 then base.modifier / 8 + 9
            when base.typname in ('inet', 'cidr') then 24
       end as max_bytes,
       base.typlen = -1 and a.attstorage <> 'p' and c.reltoastrelid <> 0 as is_toastable
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_database d on d.datname = current_database()
cross join lateral (
    with recursive chain (oid, modifier) as (
        select a.atttypid, a.atttypmod
        union all
        select t.typbasetype, t.typtypmod
        from chain join pg_type t on t.oid = chain.oid
        where t.typtype = 'd'
    )
    select t.typname, t.typlen, chain.modifier
    from chain join pg_type t on t.oid = chain.oid
    where t.typtype <> 'd'
) as base
where a.attrelid = any (%(oids)s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
