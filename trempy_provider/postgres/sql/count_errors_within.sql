-- Count a task's row errors within a period that ends now; a row that has changed since a dead letter is none.
select count(*)
from trempy.apply_errors
where task_name = %(task_name)s
  and sqlstate <> 'TR001'
  and occurred_at > clock_timestamp() - make_interval(secs => %(period_seconds)s)
