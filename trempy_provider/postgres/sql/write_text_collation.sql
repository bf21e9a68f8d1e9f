-- Note the collation that a task's filters and transformations follow.
update trempy.tasks set text_collation = %(text_collation)s where task_name = %(task_name)s
