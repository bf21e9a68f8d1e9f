-- Read how far tasks are, as far as this database tells: the target, the metadata database, or both.
select t.task_name, t.set_up_at, t.stop_reason, t.slot_name is not null, t.consistent_point is not null,
       p.published_lsn, p.idle, p.seen_lsn, p.seen_at, p.published_commit_at, p.published_bytes, p.batch_count,
       c.end_lsn, c.committed_at, c.change_count
from trempy.tasks t
left join trempy.capture_progress p using (task_name)
left join trempy.checkpoints c using (task_name)
where t.task_name = any(%(task_names)s)
