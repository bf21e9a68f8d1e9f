-- Record a batch that failed too often.
insert into trempy.dead_letters (task_name, message_id, first_lsn, last_lsn, reason)
values (%(task_name)s, %(message_id)s, %(first_lsn)s, %(last_lsn)s, %(reason)s)
on conflict (task_name, message_id) do update set reason = excluded.reason, occurred_at = now()
