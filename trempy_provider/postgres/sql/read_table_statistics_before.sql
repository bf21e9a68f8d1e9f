-- Read the counts of one table as they were last known before a time, whatever the period of that row.
select begins_at, null, null, null, null, n.insert_count, n.update_count, n.delete_count, n.error_count, 0, null
from trempy.table_statistics n
join trempy.table_states s using (task_name, source_oid)
where n.task_name = %(task_name)s
  and s.source_schema = %(schema_name)s
  and s.source_table = %(table_name)s
  and begins_at + make_interval(secs => period_seconds) <= now() - make_interval(secs => %(span_seconds)s)
order by begins_at + make_interval(secs => period_seconds) desc
limit 1
