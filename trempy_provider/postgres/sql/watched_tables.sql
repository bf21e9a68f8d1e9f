-- Read which tables the dead letters are about that may still be replayed.
select distinct t.source_oid::bigint
from trempy.dead_letter_tables t
join trempy.dead_letters l using (dead_letter_id)
where l.task_name = %(task_name)s
  and l.state = 'passed_over'
