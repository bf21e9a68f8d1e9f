-- Ask for a transaction to be left out, or for none; a lane that is past it has nothing of it left to do.
with lanes as (
    update trempy.lanes l
    set skip_lsn = case
        when %(commit_lsn)s::pg_lsn >= l.end_lsn
            or exists (select from trempy.held_changes h
                       where h.task_name = l.task_name and h.commit_lsn = %(commit_lsn)s::pg_lsn)
            or exists (select from trempy.dead_letters d
                       where d.task_name = l.task_name and d.state = 'passed_over'
                         and d.first_lsn <= %(commit_lsn)s::pg_lsn and d.last_lsn > %(commit_lsn)s::pg_lsn)
        then %(commit_lsn)s::pg_lsn end
    where l.task_name = %(task_name)s)
update trempy.checkpoints set skip_lsn = %(commit_lsn)s where task_name = %(task_name)s
