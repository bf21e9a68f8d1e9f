-- Describe the relations named, whatever their kind.
select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       c.relreplident::text, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
       pg_get_userbyid(c.relowner)::text,
       case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) / current_setting('block_size')::bigint
            else 0 end as page_count,
       case when c.relkind in ('r', 'm') then pg_table_size(c.oid) else 0 end as size_bytes,
       case when c.relkind = 'r' and c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows,
       exists (select from pg_inherits i
               where i.inhparent = c.oid and c.relkind = 'r') as has_inheritance_children,
       current_setting('session_replication_role') <> 'replica'
       and exists (select from pg_constraint k
                   where k.conrelid = c.oid and k.contype = 'f' and k.confdeltype = 'c') as cascades_to_it,
       (select coalesce(max(found.index_count), 0)
        from (select count(*) as index_count from pg_index i
              where (i.indisunique or i.indisexclusion) and i.indisready
                and i.indrelid in (select c.oid union select p.relid from pg_partition_tree(c.oid) p)
              group by i.indrelid) found) as unique_index_count
from unnest(%(schemas)s::text[], %(tables)s::text[]) as wanted (schema_name, table_name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
order by n.nspname, c.relname
