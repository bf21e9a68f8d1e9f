-- Read the row errors of a task, the newest first, those before one of them.
select e.error_id, e.occurred_at, s.source_schema, s.source_table, e.operation, e.sqlstate, e.summary,
       e.statement, e.commit_lsn, e.transaction_id, e.target_schema, e.target_table
from trempy.apply_errors e
left join trempy.table_states s using (task_name, source_oid)
where e.task_name = %(task_name)s
  and (%(before_id)s::bigint is null or e.error_id < %(before_id)s)
order by e.error_id desc
limit %(limit)s
