-- Read up to where in the WAL the catalog can be seen now, whether a transaction is part of what is seen, and
-- whether a table was changed last before that transaction had its xid.
-- The stream sends 32 of an xid's 64 bits: it is the one nearest to those in use, 2147483648 is half of them.
select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end,
       pg_visible_in_snapshot((horizon + distance - 2147483648)::text::xid8, pg_current_snapshot()),
       (select bool_and(age(changed) > age(%(xid)s::text::xid))
        from (select a.xmin from pg_attribute a where a.attrelid = %(oid)s::bigint::oid
              union all select c.xmin from pg_class c where c.oid = %(oid)s::bigint::oid) as rows (changed))
from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) as present (horizon)
cross join lateral mod(%(xid)s::bigint - horizon + 2147483648, 4294967296) as remainder
cross join lateral mod(remainder + 4294967296, 4294967296) as distance
