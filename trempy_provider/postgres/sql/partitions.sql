-- List the leaf partitions of the partitioned tables given by OID, with their sizes and row identities.
select root.oid::bigint as root_oid, c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
       c.relpersistence::text, c.relreplident::text,
       case when c.relkind = 'r' then pg_relation_size(c.oid) / current_setting('block_size')::bigint else 0 end,
       case when c.relkind = 'r' then pg_table_size(c.oid) else 0 end,
       case when c.reltuples >= 0 then c.reltuples::bigint end,
       (select array_agg(a.attname::text order by k.place)
        from pg_index i
        cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where i.indrelid = c.oid and i.indisvalid and i.indimmediate and k.place <= i.indnkeyatts
          and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident end
       ) as identity_columns
from unnest(%(oids)s::bigint[]::oid[]) as root (oid)
cross join lateral pg_partition_tree(root.oid) as leaf
join pg_class c on c.oid = leaf.relid
join pg_namespace n on n.oid = c.relnamespace
where leaf.isleaf and leaf.relid <> root.oid
order by root.oid, n.nspname, c.relname
