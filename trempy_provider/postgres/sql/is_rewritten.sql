-- Tell whether a relation has been rewritten since the transaction's snapshot: its rows may not be visible to it.
select not exists (
    -- pg_class is read by the snapshot, the function looks at the present.
    select from pg_class c
    where c.oid = %(oid)s::bigint::oid and c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0)
)
