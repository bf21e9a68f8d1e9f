-- List the transactions that hold a transaction id anywhere in the cluster, oldest first.
-- Without the rights of pg_read_all_stats only their pids and ids are visible.
-- Of the query, the first words: nothing that could be a value.
select l.pid, l.transactionid::text, a.datname::text, nullif(a.application_name, ''), a.state,
       extract(epoch from now() - coalesce(a.xact_start, p.prepared))::bigint as age_seconds,
       (regexp_match(a.query, '^\s*([[:alpha:]]+(?:\s+[[:alpha:]_]+){0,2})'))[1] as first_words,
       p.gid
from pg_locks l
left join pg_stat_activity a on a.pid = l.pid
left join pg_prepared_xacts p on p.transaction = l.transactionid
where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
  and l.pid is distinct from pg_backend_pid()
order by age(l.transactionid) desc
