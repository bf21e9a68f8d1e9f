-- Forget why a task needed a person.
update trempy.tasks set stop_reason = null, stopped_at = null
where task_name = %(task_name)s and stop_reason is not null
