-- List all columns a table has ever had: the transaction that changed each last, and the value that rows older
-- than the column have, unless it is not the same in all partitions.
with recursive parts (oid) as (
    select %(oid)s::bigint::oid
    union all
    select i.inhrelid from parts join pg_inherits i on i.inhparent = parts.oid
                      join pg_class c on c.oid = i.inhrelid and c.relispartition
), leaves as (
    select parts.oid from parts join pg_class c on c.oid = parts.oid and c.relkind = 'r'
), missing as (
    -- array_to_string writes the only element as its type does, whatever the type.
    select l.attname, min(array_to_string(l.attmissingval, '')) as value,
           count(*) <> (select count(*) from leaves)
           or count(distinct array_to_string(l.attmissingval, '')) > 1 as differs
    from leaves join pg_attribute l on l.attrelid = leaves.oid and l.atthasmissing
    group by l.attname
)
select a.attnum::int, a.attisdropped, a.atttypmod, a.xmin::text::bigint, m.value, coalesce(m.differs, false)
from pg_attribute a
left join missing m on m.attname = a.attname and not a.attisdropped
where a.attrelid = %(oid)s::bigint::oid and a.attnum > 0
order by a.attnum
