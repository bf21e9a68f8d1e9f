-- Read what has happened to the tables of a dead letter since it was passed over.
select source_oid::bigint, identity_columns, is_exact, changed_since is not null, replaced_since is not null
from trempy.dead_letter_tables
where dead_letter_id = %(dead_letter_id)s
