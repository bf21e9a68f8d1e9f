-- Return comment, width, fraction of nulls and number of distinct values of columns; no value of a row.
select a.attrelid::bigint, a.attname::text, col_description(a.attrelid, a.attnum) as comment,
       s.avg_width, s.null_frac, s.n_distinct
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
                    and s.inherited = (c.relkind = 'p')
where a.attrelid = any (%(oids)s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
