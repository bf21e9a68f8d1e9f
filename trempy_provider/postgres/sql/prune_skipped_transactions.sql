-- Delete the records of a task's transactions that were skipped before the period, some at a time.
delete from trempy.skipped_transactions
where (task_name, commit_lsn) in (select task_name, commit_lsn from trempy.skipped_transactions
                                  where task_name = %(task_name)s
                                    and skipped_at < clock_timestamp() - make_interval(secs => %(period_seconds)s)
                                  limit %(row_count)s)
