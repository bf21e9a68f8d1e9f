-- Note that a lane has applied batches of a later start of capture, and forget its chunks of earlier ones.
with notes as (
    delete from trempy.rolled_back_subtransactions
    where task_name = %(task_name)s and lane = %(lane)s and session_number < %(session_number)s),
chunks as (
    delete from trempy.held_chunks
    where task_name = %(task_name)s and lane = %(lane)s and session_number < %(session_number)s)
update trempy.lanes
set capture_session = %(session_number)s
where task_name = %(task_name)s and lane = %(lane)s
