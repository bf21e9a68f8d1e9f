-- Count the dead letters that may still be replayed; apply looks at later changes for their sake.
update trempy.checkpoints
set passed_over_count = (select count(*) from trempy.dead_letters
                         where task_name = %(task_name)s and state = 'passed_over')
where task_name = %(task_name)s
