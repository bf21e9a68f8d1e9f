-- Of the columns named, list those the role may not read.
select wanted.column_name
from unnest(%(columns)s::text[]) as wanted (column_name)
where not has_column_privilege(%(oid)s::bigint::oid, wanted.column_name, 'select')
