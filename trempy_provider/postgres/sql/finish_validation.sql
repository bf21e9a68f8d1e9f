-- End a validation: the next one begins anew.
update trempy.validations set finished_at = clock_timestamp() where task_name = %(task_name)s
