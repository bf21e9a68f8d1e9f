-- Read the collation that a task's filters and transformations follow.
select text_collation from trempy.tasks where task_name = %(task_name)s
