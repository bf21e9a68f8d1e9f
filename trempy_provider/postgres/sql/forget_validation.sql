-- Forget a task's last validation.
delete from trempy.validations where task_name = %(task_name)s
