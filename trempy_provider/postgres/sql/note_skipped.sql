-- Record a transaction that is left out; changes of it that were held elsewhere come later.
insert into trempy.skipped_transactions as present (task_name, commit_lsn, transaction_id, change_count)
values (%(task_name)s, %(commit_lsn)s, %(transaction_id)s, %(change_count)s)
on conflict (task_name, commit_lsn) do update
set transaction_id = excluded.transaction_id,
    change_count = present.change_count + excluded.change_count,
    skipped_at = excluded.skipped_at
