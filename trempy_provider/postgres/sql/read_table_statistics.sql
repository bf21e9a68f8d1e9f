-- Read what was done to one table over time, in steps: the last value of each step.
select to_timestamp(floor(extract(epoch from begins_at) / %(step_seconds)s) * %(step_seconds)s) as step_at,
       null, null, null, null,
       (array_agg(n.insert_count order by begins_at desc))[1], (array_agg(n.update_count order by begins_at desc))[1],
       (array_agg(n.delete_count order by begins_at desc))[1], (array_agg(n.error_count order by begins_at desc))[1],
       0, null
from trempy.table_statistics n
join trempy.table_states s using (task_name, source_oid)
where n.task_name = %(task_name)s
  and s.source_schema = %(schema_name)s
  and s.source_table = %(table_name)s
  and n.period_seconds = %(period_seconds)s
  and n.begins_at >= now() - make_interval(secs => %(span_seconds)s)
group by step_at
order by step_at
