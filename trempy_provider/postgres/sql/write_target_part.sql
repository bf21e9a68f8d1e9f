-- Let the target know a task whose other metadata is elsewhere; what it had of that itself is forgotten.
with progress as (delete from trempy.capture_progress where task_name = %(task_name)s)
insert into trempy.tasks as present (task_name, metadata_id)
values (%(task_name)s, %(metadata_id)s)
on conflict (task_name) do update
set metadata_id = excluded.metadata_id,
    system_identifier = null, timeline = null, source_database = null,
    slot_name = null, publication_name = null, consistent_point = null, stop_reason = null, stopped_at = null
where present.target_id is null
