-- Let the counting of row errors begin anew.
update trempy.tasks set errors_counted_since = clock_timestamp() where task_name = %(task_name)s
