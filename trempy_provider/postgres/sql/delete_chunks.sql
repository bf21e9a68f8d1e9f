-- Forget the chunks of a transaction that has ended.
with notes as (
    delete from trempy.rolled_back_subtransactions
    where task_name = %(task_name)s
      and lane = %(lane)s
      and session_number = %(session_number)s
      and transaction_id = %(transaction_id)s)
delete from trempy.held_chunks
where task_name = %(task_name)s
  and lane = %(lane)s
  and session_number = %(session_number)s
  and transaction_id = %(transaction_id)s
