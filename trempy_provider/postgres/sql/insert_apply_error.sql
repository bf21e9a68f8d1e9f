-- Record a row that could not be applied.
insert into trempy.apply_errors (task_name, source_oid, target_schema, target_table, operation, key_values,
                                 sqlstate, message, summary, statement, transaction_id, commit_lsn, change_index)
values (%(task_name)s, %(source_oid)s, %(target_schema)s, %(target_table)s, %(operation)s, %(key_values)s,
        %(sqlstate)s, %(message)s, %(summary)s, %(statement)s, %(transaction_id)s, %(commit_lsn)s,
        %(change_index)s)
