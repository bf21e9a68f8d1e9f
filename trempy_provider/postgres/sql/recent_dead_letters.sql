-- Read the batches of a task that were given up last.
select message_id, first_lsn, last_lsn, reason, occurred_at
from trempy.dead_letters
where task_name = %(task_name)s
order by occurred_at desc, dead_letter_id desc
limit 10
