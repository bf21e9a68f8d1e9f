-- List the labels of enums by the OID of their type, in the enum's order.
select e.enumtypid::bigint, array_agg(e.oid::bigint order by e.enumsortorder), array_agg(e.enumlabel::text order by e.enumsortorder)
from pg_enum e
where e.enumtypid = any (%(oids)s::bigint[]::oid[])
group by e.enumtypid
