-- Tell which of some subtransactions of a held transaction were rolled back.
select subtransaction_id
from trempy.rolled_back_subtransactions
where task_name = %(task_name)s
  and lane = %(lane)s
  and session_number = %(session_number)s
  and transaction_id = %(transaction_id)s
  and subtransaction_id = any(%(xids)s)
