-- Read one chunk of a large transaction.
select body
from trempy.held_chunks
where task_name = %(task_name)s
  and lane = %(lane)s
  and session_number = %(session_number)s
  and transaction_id = %(transaction_id)s
  and chunk_index = %(chunk_index)s
