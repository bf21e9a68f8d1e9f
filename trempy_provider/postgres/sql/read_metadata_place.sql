-- Tell which schema this is, what it has of a task, and which other schema has the rest.
select i.schema_id::text, t.task_name is not null, t.metadata_id::text, t.target_id::text,
       t.slot_name is not null and t.consistent_point is null,
       coalesce(c.end_lsn > '0/0', false)
from trempy.identity i
left join trempy.tasks t on t.task_name = %(task_name)s
left join trempy.checkpoints c on c.task_name = t.task_name
