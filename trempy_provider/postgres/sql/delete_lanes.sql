-- Forget a task's lanes, and which table is in which.
with tables as (update trempy.table_states set lane = null where task_name = %(task_name)s and lane is not null)
delete from trempy.lanes where task_name = %(task_name)s
