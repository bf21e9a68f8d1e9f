-- Delete a task's row errors that are older than the period, some at a time.
delete from trempy.apply_errors
where error_id in (select error_id from trempy.apply_errors
                   where task_name = %(task_name)s
                     and occurred_at < clock_timestamp() - make_interval(secs => %(period_seconds)s)
                   order by occurred_at
                   limit %(row_count)s)
