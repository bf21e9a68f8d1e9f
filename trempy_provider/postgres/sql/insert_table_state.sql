-- Add a table to a task.
insert into trempy.table_states (task_name, source_oid, source_schema, source_table, target_schema, target_table,
                                 key_columns, state, created_by_task, load_id, snapshot_lsn,
                                 estimated_rows)
values (%(task_name)s, %(source_oid)s, %(source_schema)s, %(source_table)s, %(target_schema)s, %(target_table)s,
        %(key_columns)s, %(state)s, %(created_by_task)s, %(load_id)s, %(snapshot_lsn)s,
        %(estimated_rows)s)
