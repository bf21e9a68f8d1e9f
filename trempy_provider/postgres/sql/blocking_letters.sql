-- Read the earlier dead letters that are about the same tables and may still be replayed.
select distinct e.message_id
from trempy.dead_letters l
join trempy.dead_letter_tables t on t.dead_letter_id = l.dead_letter_id
join trempy.dead_letter_tables u on u.source_oid = t.source_oid and u.dead_letter_id <> t.dead_letter_id
join trempy.dead_letters e on e.dead_letter_id = u.dead_letter_id
where l.dead_letter_id = %(dead_letter_id)s
  and e.task_name = l.task_name
  and e.state = 'passed_over'
  and e.first_lsn < l.first_lsn
order by e.message_id
