-- Start a task's checkpoint, or start it anew.
insert into trempy.checkpoints as present (task_name, end_lsn) values (%(task_name)s, %(start)s)
on conflict (task_name) do update
set end_lsn = excluded.end_lsn, commit_lsn = null, committed_at = null, applied_at = null,
    transaction_count = 0, change_count = 0, states_version = present.states_version + 1,
    passed_over_count = 0, skip_lsn = null,
    capture_session = greatest(present.capture_session, (select max(l.capture_session) from trempy.lanes l
                                                         where l.task_name = present.task_name))
