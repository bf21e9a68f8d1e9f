-- Of the tables given by OID, list those that are gone, those that a publication of single tables does not
-- publish any more, and those that are called otherwise now while another table has the name that was theirs.
-- With each: the OID of another table of that name, and, when it is published, what it is called itself.
select wanted.oid, c.oid is null as is_gone, again.oid::bigint,
       case when r.prrelid is not null then array[own.nspname, c.relname]::text[] end as new_name
from unnest(%(oids)s::bigint[], %(schemas)s::text[], %(tables)s::text[]) as wanted (oid, schema_name, table_name)
join pg_publication p on p.pubname = %(publication)s and not p.puballtables
                     and not exists (select from pg_publication_namespace s where s.pnpubid = p.oid)
left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = wanted.oid::oid
left join pg_class c on c.oid = wanted.oid::oid
left join pg_namespace own on own.oid = c.relnamespace
left join pg_namespace n on n.nspname = wanted.schema_name
left join pg_class again on again.relnamespace = n.oid and again.relname = wanted.table_name
                         and again.relkind in ('r', 'p') and again.oid <> wanted.oid::oid
where r.prrelid is null
   or again.oid is not null and (own.nspname, c.relname) <> (wanted.schema_name, wanted.table_name)
