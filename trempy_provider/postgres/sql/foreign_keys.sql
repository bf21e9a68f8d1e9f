-- Return which of the tables given by OID refer to which other tables by foreign keys.
select distinct conrelid::bigint, confrelid::bigint
from pg_constraint
where contype = 'f' and conrelid = any (%(oids)s::bigint[]::oid[]) and conrelid <> confrelid
