-- Let a task's states have a version that none of its lanes has seen.
update trempy.checkpoints c
set states_version = 1 + greatest(c.states_version, (select max(l.states_version) from trempy.lanes l
                                                     where l.task_name = c.task_name))
where c.task_name = %(task_name)s
