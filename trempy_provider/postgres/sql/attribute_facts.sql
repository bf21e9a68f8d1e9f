-- List all columns a table has ever had, with the value that rows older than the column have, leaf by leaf.
with recursive parts (oid) as (
    select %(oid)s::bigint::oid
    union all
    select i.inhrelid from parts join pg_inherits i on i.inhparent = parts.oid
                      join pg_class c on c.oid = i.inhrelid and c.relispartition
)
select a.attnum::int, a.attisdropped, a.atttypmod, missing.value, coalesce(missing.differs, false)
from pg_attribute a
left join lateral (
    -- array_to_string writes the only element as its type does, whatever the type.
    select min(array_to_string(l.attmissingval, '')) as value,
           count(*) <> count(l.attmissingval) and count(l.attmissingval) > 0
           or count(distinct array_to_string(l.attmissingval, '')) > 1 as differs
    from parts
    join pg_class c on c.oid = parts.oid and c.relkind = 'r'
    join pg_attribute l on l.attrelid = parts.oid and l.attname = a.attname
    where not a.attisdropped
) as missing on true
where a.attrelid = %(oid)s::bigint::oid and a.attnum > 0
order by a.attnum
