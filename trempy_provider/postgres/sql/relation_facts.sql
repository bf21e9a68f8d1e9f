-- Describe where a table is, what it is stored in and how a publication publishes it, without locking it.
with recursive parts (oid) as (
    select %(oid)s::bigint::oid
    union all
    select i.inhrelid from parts join pg_inherits i on i.inhparent = parts.oid
                      join pg_class c on c.oid = i.inhrelid and c.relispartition
)
select n.nspname::text, c.relname::text, c.relreplident::text, c.relnatts::int,
       (select json_object_agg(s.oid::bigint, s.relfilenode::bigint)
        from parts join pg_class s on s.oid = parts.oid
        where s.relkind = 'r') as storage,
       p.prattrs::int2[]::int[] as published
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join (pg_publication_rel p join pg_publication b on b.oid = p.prpubid and b.pubname = %(publication)s)
       on p.prrelid = c.oid
where c.oid = %(oid)s::bigint::oid
