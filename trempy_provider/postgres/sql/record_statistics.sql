-- Note how far a task is, in the rows of the present minute, hour and day.
insert into trempy.statistics (task_name, period_seconds, begins_at, lag_seconds, lag_bytes, queue_depth,
                               retained_bytes, insert_count, update_count, delete_count, error_count,
                               batch_count, published_bytes, idle_until)
select %(task_name)s, p.seconds, to_timestamp(floor(extract(epoch from now()) / p.seconds) * p.seconds),
       %(lag_seconds)s, %(lag_bytes)s, %(queue_depth)s, %(retained_bytes)s,
       c.inserts, c.updates, c.deletes, c.errors, %(batch_count)s, %(published_bytes)s,
       now() + make_interval(secs => %(idle_seconds)s)
from unnest(array[60, 3600, 86400]) as p(seconds)
cross join (select coalesce(sum(insert_count), 0)::bigint as inserts, coalesce(sum(update_count), 0)::bigint as updates,
                   coalesce(sum(delete_count), 0)::bigint as deletes, coalesce(sum(error_count), 0)::bigint as errors
            from trempy.table_states
            where task_name = %(task_name)s) as c
where exists (select from trempy.tasks t where t.task_name = %(task_name)s)
on conflict (task_name, period_seconds, begins_at) do update
set lag_seconds = greatest(statistics.lag_seconds, excluded.lag_seconds),
    lag_bytes = greatest(statistics.lag_bytes, excluded.lag_bytes),
    queue_depth = greatest(statistics.queue_depth, excluded.queue_depth),
    retained_bytes = greatest(statistics.retained_bytes, excluded.retained_bytes),
    insert_count = excluded.insert_count,
    update_count = excluded.update_count,
    delete_count = excluded.delete_count,
    error_count = excluded.error_count,
    batch_count = excluded.batch_count,
    published_bytes = excluded.published_bytes,
    idle_until = excluded.idle_until
