-- Count the dead letters about which somebody has to decide.
select task_name, count(*)
from trempy.dead_letters
where task_name = any(%(task_names)s)
  and state in ('waiting', 'passed_over')
group by task_name
