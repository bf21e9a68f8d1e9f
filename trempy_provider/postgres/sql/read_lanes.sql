-- Read how far each lane of a task is.
select lane, end_lsn from trempy.lanes where task_name = %(task_name)s order by lane
