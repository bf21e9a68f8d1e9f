-- List all columns a table has ever had, with the value that rows older than the column have, leaf by leaf.
with leaves (oid) as (
    select t.relid::oid from pg_partition_tree(%(oid)s::bigint::oid) t where t.isleaf
    union select c.oid from pg_class c where c.oid = %(oid)s::bigint::oid and c.relkind = 'r'
)
select a.attnum::int, a.attisdropped, a.atttypmod, missing.value, coalesce(missing.differs, false)
from pg_attribute a
left join lateral (
    -- array_to_string writes the only element as its type does, whatever the type.
    select min(array_to_string(l.attmissingval, '')) as value,
           count(*) <> count(l.attmissingval) and count(l.attmissingval) > 0
           or count(distinct array_to_string(l.attmissingval, '')) > 1 as differs
    from leaves
    join pg_attribute l on l.attrelid = leaves.oid and l.attname = a.attname
    where not a.attisdropped
) as missing on true
where a.attrelid = %(oid)s::bigint::oid and a.attnum > 0
order by a.attnum
