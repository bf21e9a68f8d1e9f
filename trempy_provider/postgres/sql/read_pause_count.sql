-- Read how often the leases of a task have been asked to end.
select pause_count from trempy.tasks where task_name = %(task_name)s
