-- Name the session that holds the lock of one table's full load.
select l.pid
from pg_locks l
join pg_database d on d.oid = l.database and d.datname = current_database()
cross join hashtextextended(format('trempy.full_load %%s %%s', %(task_name)s, %(source_oid)s), 0) as key
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and (l.classid::bigint << 32 | l.objid::bigint) = key
