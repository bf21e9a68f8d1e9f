-- Name the open transactions that may have written to some relations.
select distinct l.virtualtransaction
from pg_locks l
where l.locktype = 'relation' and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and l.relation = any(%(oids)s::bigint[]::oid[])
  and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
