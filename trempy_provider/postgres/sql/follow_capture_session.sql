-- Note that batches of a later start of capture are applied, and forget the chunks of earlier ones.
with notes as (
    delete from trempy.rolled_back_subtransactions
    where task_name = %(task_name)s and lane = %(lane)s and session_number < %(session_number)s),
chunks as (
    delete from trempy.held_chunks
    where task_name = %(task_name)s and lane = %(lane)s and session_number < %(session_number)s)
update trempy.checkpoints
set capture_session = %(session_number)s
where task_name = %(task_name)s
