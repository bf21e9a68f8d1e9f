-- Read a task's dead letters in the order of their commits.
select dead_letter_id, message_id, state, first_lsn, last_lsn, transaction_id, attempt_count, reason,
       occurred_at, settled_at
from trempy.dead_letters
where task_name = %(task_name)s
  and (%(message_id)s::text is null or message_id = %(message_id)s)
order by last_lsn, dead_letter_id
