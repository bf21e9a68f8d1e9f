-- Read the transactions of a task that were skipped last.
select commit_lsn, transaction_id, change_count, skipped_at
from trempy.skipped_transactions
where task_name = %(task_name)s
order by skipped_at desc, commit_lsn desc
limit 3
