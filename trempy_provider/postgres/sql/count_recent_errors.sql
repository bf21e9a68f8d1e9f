-- Count a task's row errors within the period, since the last stop because of their number.
select count(*), min(e.occurred_at), max(e.commit_lsn)
from trempy.apply_errors e
where e.task_name = %(task_name)s
  and e.sqlstate <> 'TR001'                    -- a row that has changed since a dead letter
  and e.occurred_at > clock_timestamp() - make_interval(secs => %(period_seconds)s)
  and e.occurred_at > coalesce((select t.errors_counted_since from trempy.tasks t
                                where t.task_name = %(task_name)s), '-infinity')
