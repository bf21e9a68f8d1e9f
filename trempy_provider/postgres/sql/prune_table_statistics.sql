-- Forget the statistics of a task's tables that are older than they are kept.
delete from trempy.table_statistics
where task_name = %(task_name)s
  and period_seconds = %(period_seconds)s
  and begins_at < now() - make_interval(secs => %(kept_seconds)s)
