-- Read how far a task was over time, in steps; of counts the last value of each step.
select to_timestamp(floor(extract(epoch from begins_at) / %(step_seconds)s) * %(step_seconds)s) as step_at,
       max(lag_seconds), max(lag_bytes), max(queue_depth), max(retained_bytes),
       (array_agg(insert_count order by begins_at desc))[1], (array_agg(update_count order by begins_at desc))[1],
       (array_agg(delete_count order by begins_at desc))[1], (array_agg(error_count order by begins_at desc))[1],
       (array_agg(batch_count order by begins_at desc))[1], (array_agg(idle_until order by begins_at desc))[1]
from trempy.statistics
where task_name = %(task_name)s
  and period_seconds = %(period_seconds)s
  and begins_at >= now() - make_interval(secs => %(span_seconds)s)
group by step_at
order by step_at
