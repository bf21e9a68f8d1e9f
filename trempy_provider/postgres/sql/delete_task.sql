-- Delete a task and, by cascade, all of its metadata here; that of another target stays.
delete from trempy.tasks where task_name = %(task_name)s and target_id is not distinct from %(target_id)s
