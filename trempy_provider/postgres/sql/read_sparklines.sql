-- Read the last hour of all tasks, a row a minute.
select task_name, begins_at, lag_seconds, insert_count + update_count + delete_count
from trempy.statistics
where task_name = any(%(task_names)s)
  and period_seconds = 60
  and begins_at >= now() - interval '61 minutes'
order by task_name, begins_at
