-- List a table and its partitions as the transaction's snapshot sees them, with their present sizes.
with recursive tree (oid) as (
    select %(oid)s::bigint::oid
    union all
    select i.inhrelid
    from tree
    join pg_class parent on parent.oid = tree.oid and parent.relkind = 'p'
    join pg_inherits i on i.inhparent = tree.oid
)
select c.relkind = 'p' as is_partitioned, c.oid::bigint, n.nspname::text, c.relname::text,
       c.relkind = 'f' as is_foreign,
       coalesce(am.amname = 'heap', false) as is_heap,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint as page_count,
       coalesce(pg_table_size(c.oid), 0) as size_bytes,
       case when c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows
from tree
join pg_class c on c.oid = tree.oid
join pg_namespace n on n.oid = c.relnamespace
left join pg_am am on am.oid = c.relam
order by n.nspname, c.relname
