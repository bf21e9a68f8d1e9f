-- Tell of every task how it has done: what it published and applied, how far behind it was, how it stopped.
select t.task_name, t.slot_name is not null as captures_changes, t.stop_reason is not null as has_stopped,
       extract(epoch from c.applied_at - c.committed_at)::float8 as lag_seconds,
       coalesce(p.batch_count, 0) as batch_count, coalesce(p.change_count, 0) as change_count,
       coalesce(p.published_bytes, 0) as published_bytes,
       (select count(*) from trempy.apply_errors e where e.task_name = t.task_name) as error_count
from trempy.tasks t
left join trempy.checkpoints c on c.task_name = t.task_name
left join trempy.capture_progress p on p.task_name = t.task_name
order by t.task_name
