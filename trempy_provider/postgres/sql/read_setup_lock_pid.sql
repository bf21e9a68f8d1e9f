-- Name the process that is setting a task up or tearing it down.
select l.pid
from pg_locks l
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('trempy.setup ' || %(task_name)s, 0)
