-- Let a table that is ready wait for a new load, while its present rows are followed.
update trempy.table_states
set state = 'pending', error = %(reason)s
where task_name = %(task_name)s and source_oid = %(source_oid)s and state = 'ready'
