-- Read the state of every table of a task.
select source_oid::bigint, source_schema, source_table, target_schema, target_table, key_columns, state,
       created_by_task, load_id, load_table, snapshot_lsn, estimated_rows, loaded_rows, loaded_bytes,
       load_started_at, load_finished_at, error,
       insert_count, update_count, delete_count, truncate_count, error_count, last_change_at,
       component::bigint, lane, partition_oids
from trempy.table_states
where task_name = %(task_name)s
order by source_oid
