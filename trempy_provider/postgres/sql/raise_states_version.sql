-- Tell apply that the task's table states have changed.
update trempy.checkpoints set states_version = states_version + 1 where task_name = %(task_name)s
