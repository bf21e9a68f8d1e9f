-- Record why a task needs a person; the first time of the same reason stays.
update trempy.tasks
set stop_reason = %(reason)s,
    stopped_at = case when stop_reason is distinct from %(reason)s then now() else stopped_at end
where task_name = %(task_name)s
