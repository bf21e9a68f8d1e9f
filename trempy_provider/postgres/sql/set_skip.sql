-- Ask for a transaction to be left out, or for none.
update trempy.checkpoints set skip_lsn = %(commit_lsn)s where task_name = %(task_name)s
