-- Note that a task goes on on another timeline of its source.
update trempy.tasks set timeline = %(timeline)s where task_name = %(task_name)s
