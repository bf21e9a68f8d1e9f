-- Ask the leases of a task to end.
update trempy.tasks set pause_count = pause_count + 1 where task_name = %(task_name)s
