-- Record that the transaction to skip has not come.
insert into trempy.skipped_transactions (task_name, commit_lsn)
values (%(task_name)s, %(commit_lsn)s)
on conflict (task_name, commit_lsn) do nothing
