-- List the tasks of a target whose other metadata is here.
select task_name from trempy.tasks where target_id = %(target_id)s order by task_name
