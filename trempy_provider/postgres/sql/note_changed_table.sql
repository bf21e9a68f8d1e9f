-- Note, for earlier dead letters, that a table has changed since; without the columns that tell its rows
-- apart, or with other ones, none of its rows can be told from those that have not.
update trempy.dead_letter_tables t
set changed_since = coalesce(t.changed_since, %(commit_lsn)s::pg_lsn),
    replaced_since = case when t.identity_columns = %(identity_columns)s::text[] then t.replaced_since
                          else coalesce(t.replaced_since, %(commit_lsn)s::pg_lsn) end
from trempy.dead_letters l
where l.task_name = %(task_name)s
  and l.state = 'passed_over'
  and l.first_lsn < %(commit_lsn)s::pg_lsn
  and t.dead_letter_id = l.dead_letter_id
  and t.source_oid = %(source_oid)s
