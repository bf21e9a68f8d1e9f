-- Describe the unique indexes that identify rows of the tables given by OID, columns in the index's own order.
select i.indrelid::bigint, c.relname::text, i.indisprimary, i.indisreplident, i.indimmediate,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
       exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u')) as is_constraint,
       array_agg(a.attname::text order by k.place) as columns,
       bool_and(a.attnotnull) as not_null
from pg_index i
join pg_class c on c.oid = i.indexrelid
cross join lateral unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[])
    with ordinality as k (attnum, collation_oid, class_oid, place)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
join pg_opclass o on o.oid = k.class_oid
where i.indrelid = any (%(oids)s::bigint[]::oid[])
  and i.indisunique and not i.indisexclusion and i.indisvalid
  and i.indpred is null and i.indexprs is null
  and k.place <= i.indnkeyatts
group by i.indrelid, i.indexrelid, c.relname, i.indisprimary, i.indisreplident, i.indimmediate, nulls_not_distinct
having bool_and(o.opcdefault and k.collation_oid in (0, a.attcollation))
order by i.indrelid, i.indisprimary desc, c.relname
