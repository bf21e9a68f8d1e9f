-- Read the counts of a task as they were last known before a time, whatever the period of that row.
select begins_at, null, null, null, null, insert_count, update_count, delete_count, error_count, batch_count,
       idle_until
from trempy.statistics
where task_name = %(task_name)s
  and begins_at + make_interval(secs => period_seconds) <= now() - make_interval(secs => %(span_seconds)s)
order by begins_at + make_interval(secs => period_seconds) desc
limit 1
