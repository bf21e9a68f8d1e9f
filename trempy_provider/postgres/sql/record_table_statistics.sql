-- Note the counts of tables that have changed lately, in the rows of the present minute, hour and day.
insert into trempy.table_statistics (task_name, source_oid, period_seconds, begins_at,
                                     insert_count, update_count, delete_count, error_count)
select s.task_name, s.source_oid, p.seconds,
       to_timestamp(floor(extract(epoch from now()) / p.seconds) * p.seconds),
       s.insert_count, s.update_count, s.delete_count, s.error_count
from trempy.table_states s
cross join unnest(array[60, 3600, 86400]) as p(seconds)
where s.task_name = %(task_name)s
  and s.last_change_at >= now() - make_interval(secs => %(since_seconds)s)
on conflict (task_name, period_seconds, begins_at, source_oid) do update
set insert_count = excluded.insert_count,
    update_count = excluded.update_count,
    delete_count = excluded.delete_count,
    error_count = excluded.error_count
