-- Describe where a table is, what it is stored in and how a publication publishes it.
select n.nspname::text, c.relname::text, c.relnatts::int,
       (select json_object_agg(s.oid::bigint, s.relfilenode::bigint)
        from (select s.oid, s.relfilenode from pg_partition_tree(c.oid) t join pg_class s on s.oid = t.relid where t.isleaf
              union select c.oid, c.relfilenode where c.relkind = 'r') s) as storage,
       p.prrelid is not null as is_published,
       p.prattrs::int2[]::int[] as published
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join (pg_publication_rel p join pg_publication b on b.oid = p.prpubid and b.pubname = %(publication)s)
       on p.prrelid = c.oid
where c.oid = %(oid)s::bigint::oid
