-- Return the most common values of columns that have few: values of rows, read only where that is allowed.
select a.attrelid::bigint, a.attname::text, (s.most_common_vals::text::text[])[1:20]
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
               and s.inherited = (c.relkind = 'p')
where a.attrelid = any (%(oids)s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
  and s.most_common_vals is not null and s.n_distinct between 1 and 100 and s.avg_width <= 64
