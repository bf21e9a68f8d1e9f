-- Read a task's last validation, and whether some session is at it.
select v.started_at, v.finished_at, v.repairs, v.tables,
       exists (
           select from pg_locks l
           where l.locktype = 'advisory' and l.granted and l.objsubid = 1
             and l.database = (select oid from pg_database where datname = current_database())
             and (l.classid::bigint << 32 | l.objid::bigint)
                 = hashtextextended('trempy.validation ' || v.task_name, 0)
       ) as is_running
from trempy.validations v
where v.task_name = %(task_name)s
