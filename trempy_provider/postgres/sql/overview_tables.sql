-- Count the tables of tasks by state, and the errors of apply in them.
select task_name, count(*), count(*) filter (where state = 'ready'), count(*) filter (where state = 'loading'),
       count(*) filter (where state = 'error'), sum(error_count)::bigint
from trempy.table_states
where task_name = any(%(task_names)s)
group by task_name
