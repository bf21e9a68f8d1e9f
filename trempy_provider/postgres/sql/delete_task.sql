-- Delete a task and, by cascade, all of its metadata.
delete from trempy.tasks where task_name = %(task_name)s
