-- Read a task as it was set up.
select task_name, system_identifier, timeline, source_database, slot_name, publication_name,
       consistent_point, set_up_at, stop_reason, stopped_at, metadata_id::text, target_id::text
from trempy.tasks
where task_name = %(task_name)s
