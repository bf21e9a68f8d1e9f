-- Read the batches applied last, the newest first.
select applied_at, change_count, transaction_count, seconds, end_lsn
from trempy.applied_batches
where task_name = %(task_name)s
order by batch_id desc
limit %(limit)s
