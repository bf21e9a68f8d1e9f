-- Read a task as it was set up.
select task_name, system_identifier, timeline, source_database, slot_name, publication_name,
       consistent_point, set_up_at, stop_reason, stopped_at, text_collation
from trempy.tasks
where task_name = %(task_name)s
