-- End the process that reads a slot, if it is one of this task's.
select pg_terminate_backend(a.pid)
from pg_replication_slots s
join pg_stat_activity a on a.pid = s.active_pid
where s.slot_name = %(name)s and starts_with(a.application_name, %(application)s)
