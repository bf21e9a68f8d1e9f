-- Count the dead letters that may still be replayed, for one lane or all.
update trempy.lanes
set passed_over_count = (select count(*) from trempy.dead_letters
                         where task_name = %(task_name)s and state = 'passed_over')
where task_name = %(task_name)s and (%(lane)s::smallint is null or lane = %(lane)s)
