-- Note batches that were applied.
insert into trempy.applied_batches (task_name, applied_at, end_lsn, transaction_count, change_count, seconds)
select %(task_name)s, n.applied_at, n.end_lsn, n.transactions, n.changes, n.seconds
from unnest(%(applied_at)s::timestamptz[], %(end_lsns)s::pg_lsn[], %(transactions)s::bigint[],
            %(changes)s::bigint[], %(seconds)s::double precision[])
     as n(applied_at, end_lsn, transactions, changes, seconds)
where exists (select from trempy.tasks t where t.task_name = %(task_name)s)
