-- Let the wait that a task's last samples announce end now.
update trempy.statistics set idle_until = now() where task_name = %(task_name)s and idle_until > now()
