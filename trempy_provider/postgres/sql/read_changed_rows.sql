-- Read which rows of a dead letter's table have changed since it was passed over.
select row_digest
from trempy.dead_letter_rows
where dead_letter_id = %(dead_letter_id)s
  and source_oid = %(source_oid)s
  and changed_since is not null
