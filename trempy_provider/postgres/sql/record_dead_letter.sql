-- Record a message that could not be applied, or that it still cannot be.
insert into trempy.dead_letters as present
    (task_name, message_id, state, first_lsn, last_lsn, transaction_id, attempt_count, reason)
values (%(task_name)s, %(message_id)s, %(state)s, %(first_lsn)s, %(last_lsn)s, %(transaction_id)s,
        %(attempt_count)s, %(reason)s)
on conflict (task_name, message_id) do update
set state = excluded.state, reason = excluded.reason, occurred_at = now(), settled_at = null,
    attempt_count = coalesce(present.attempt_count, 0) + excluded.attempt_count
returning dead_letter_id
