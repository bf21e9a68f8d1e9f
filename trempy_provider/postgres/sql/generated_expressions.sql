-- Write what the generated columns of a table are computed from; waits for whoever has the table locked.
select d.adnum::int, pg_get_expr(d.adbin, d.adrelid)
from pg_attrdef d
join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
where d.adrelid = %(oid)s::bigint::oid and a.attgenerated <> ''
