-- Read the tables that a publication names, with their column lists and row filters.
select r.prrelid::bigint, n.nspname::text, c.relname::text,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[])) as columns,
       pg_get_expr(r.prqual, r.prrelid) as row_filter
from pg_publication_rel r
join pg_publication p on p.oid = r.prpubid
join pg_class c on c.oid = r.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname = %(name)s
order by n.nspname, c.relname
