-- List the leaf partitions of the partitioned tables given by OID, each with the transaction and the command that
-- put it, or a partition it is in, below its root last.
select root.oid::bigint as root_oid, leaf.oid::bigint, n.nspname::text, leaf.relname::text,
       link.xid::text, link.command::bigint
from unnest(%(oids)s::bigint[]::oid[]) as root (oid)
cross join lateral pg_partition_tree(root.oid) as part
join pg_class leaf on leaf.oid = part.relid
join pg_namespace n on n.oid = leaf.relnamespace
cross join lateral (
    select i.xmin as xid, i.cmin::text as command
    from pg_partition_ancestors(leaf.oid) as above
    join pg_partition_tree(root.oid) as within on within.relid = above.relid and within.relid <> root.oid
    join pg_inherits i on i.inhrelid = above.relid
    order by age(i.xmin), i.cmin::text::bigint desc
    limit 1
) as link
where part.isleaf and part.relid <> root.oid
order by root.oid, n.nspname, leaf.relname
