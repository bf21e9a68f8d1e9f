-- Read how far a task's validation is in each table.
select source_oid::bigint, source_name, target_name, state, position, row_count, range_count,
       missing_count, different_count, extra_count, tolerated_count, failing_count, unsettled_count,
       repaired_count, failed_count, notes, finished_at is not null
from trempy.table_validations
where task_name = %(task_name)s
order by source_name
