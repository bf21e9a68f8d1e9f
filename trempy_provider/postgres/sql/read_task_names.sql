-- List the tasks that are set up in this target.
select task_name from trempy.tasks
