-- Take a table off a task.
delete from trempy.table_states where task_name = %(task_name)s and source_oid = %(source_oid)s
