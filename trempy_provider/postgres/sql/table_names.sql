-- Name every relation of user schemas that holds rows, with its kind, persistence and whether it is a partition.
select n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relispartition
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('information_schema', 'trempy')
  and n.nspname !~ '^pg_'
  and not exists (select from pg_depend d
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname, c.relname
