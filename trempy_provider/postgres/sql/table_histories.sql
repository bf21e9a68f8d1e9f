-- Tell of every task's tables how their last loads went.
select task_name, source_schema, source_table, loaded_rows, loaded_bytes, load_started_at, load_finished_at,
       error_count
from trempy.table_states
order by task_name, source_schema, source_table
