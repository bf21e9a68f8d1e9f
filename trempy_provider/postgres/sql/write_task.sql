-- Insert a task or bring its source and objects up to date.
insert into trempy.tasks (task_name, system_identifier, timeline, source_database,
                          slot_name, publication_name, consistent_point, text_collation)
values (%(task_name)s, %(system_identifier)s, %(timeline)s, %(source_database)s,
        %(slot_name)s, %(publication_name)s, %(consistent_point)s, %(text_collation)s)
on conflict (task_name) do update
set (system_identifier, timeline, source_database, slot_name, publication_name, consistent_point, text_collation)
  = (excluded.system_identifier, excluded.timeline, excluded.source_database,
     excluded.slot_name, excluded.publication_name, excluded.consistent_point, excluded.text_collation),
    stop_reason = null, stopped_at = null
