-- Forget what a task has held back, failed to apply, skipped and lost to the dead-letter queue.
with held as (delete from trempy.held_changes where task_name = %(task_name)s),
     chunks as (delete from trempy.held_chunks where task_name = %(task_name)s),
     notes as (delete from trempy.rolled_back_subtransactions where task_name = %(task_name)s),
     letters as (delete from trempy.dead_letters where task_name = %(task_name)s),
     lanes as (delete from trempy.lanes where task_name = %(task_name)s),
     tables as (update trempy.table_states set lane = null where task_name = %(task_name)s and lane is not null),
     skipped as (delete from trempy.skipped_transactions where task_name = %(task_name)s)
delete from trempy.apply_errors where task_name = %(task_name)s
