-- Record a batch that failed too often.
insert into trempy.dead_letters (task_name, message_id, first_lsn, last_lsn, reason, is_passed_over)
values (%(task_name)s, %(message_id)s, %(first_lsn)s, %(last_lsn)s, %(reason)s, %(is_passed_over)s)
on conflict (task_name, message_id) do update
set reason = excluded.reason, is_passed_over = excluded.is_passed_over, occurred_at = now()
