-- Keep changes of a table that is being loaded.
insert into trempy.held_changes (task_name, source_oid, commit_lsn, body)
values (%(task_name)s, %(source_oid)s, %(commit_lsn)s, %(body)s)
