-- Tell whether a transaction may still be left out: it is not applied, or it waits to be applied elsewhere.
select %(commit_lsn)s::pg_lsn >= c.end_lsn
    or exists (select from trempy.held_changes h
               where h.task_name = c.task_name and h.commit_lsn = %(commit_lsn)s::pg_lsn)
    or exists (select from trempy.dead_letters l
               where l.task_name = c.task_name and l.state = 'passed_over'
                 and l.first_lsn <= %(commit_lsn)s::pg_lsn and l.last_lsn > %(commit_lsn)s::pg_lsn)
from trempy.checkpoints c
where c.task_name = %(task_name)s
