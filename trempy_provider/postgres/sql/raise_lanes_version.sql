-- Tell one lane, or all, that the task's table states have changed.
update trempy.lanes
set states_version = states_version + 1
where task_name = %(task_name)s and (%(lane)s::smallint is null or lane = %(lane)s)
