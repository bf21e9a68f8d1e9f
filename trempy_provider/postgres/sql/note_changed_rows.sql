-- Note, for earlier dead letters, that rows have changed since.
update trempy.dead_letter_rows r
set changed_since = %(commit_lsn)s
from trempy.dead_letters l
where l.task_name = %(task_name)s
  and l.state = 'passed_over'
  and l.first_lsn < %(commit_lsn)s::pg_lsn
  and r.dead_letter_id = l.dead_letter_id
  and r.source_oid = %(source_oid)s
  and r.row_digest = any(%(digests)s::bytea[])
  and r.changed_since is null
