-- Return the comments of the tables given by OID.
select c.oid::bigint, obj_description(c.oid, 'pg_class')
from pg_class c
where c.oid = any (%(oids)s::bigint[]::oid[]) and obj_description(c.oid, 'pg_class') is not null
