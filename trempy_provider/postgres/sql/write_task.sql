-- Insert a task or bring its source and objects up to date, unless it is that of another target.
insert into trempy.tasks as present (task_name, system_identifier, timeline, source_database,
                                     slot_name, publication_name, consistent_point, target_id)
values (%(task_name)s, %(system_identifier)s, %(timeline)s, %(source_database)s,
        %(slot_name)s, %(publication_name)s, %(consistent_point)s, %(target_id)s)
on conflict (task_name) do update
set (system_identifier, timeline, source_database, slot_name, publication_name, consistent_point)
  = (excluded.system_identifier, excluded.timeline, excluded.source_database,
     excluded.slot_name, excluded.publication_name, excluded.consistent_point),
    metadata_id = null, stop_reason = null, stopped_at = null
where present.target_id is not distinct from excluded.target_id
