-- Read the last row error of each table of a task; its summary holds no values of the row.
select distinct on (source_oid) source_oid::bigint, operation, summary
from trempy.apply_errors
where task_name = %(task_name)s
order by source_oid, error_id desc
