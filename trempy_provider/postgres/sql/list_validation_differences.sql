-- Read the rows that a task's last validation has found to differ, those after one of them.
select d.difference_id, d.found_at, t.source_name, d.kind, d.key_values, d.row_count, d.outcome
from trempy.validation_differences d
join trempy.table_validations t using (task_name, source_oid)
where d.task_name = %(task_name)s and d.difference_id > %(after_id)s
order by d.difference_id
limit %(limit)s
