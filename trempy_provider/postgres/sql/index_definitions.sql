-- Describe a table's constraints with indexes and its other indexes so that they can be made on another table.
select ic.relname::text as name,
       k.oid is not null as is_constraint,
       case when k.oid is not null then pg_get_constraintdef(k.oid)
            -- what follows CREATE [UNIQUE] INDEX name ON table
            else substr(pg_get_indexdef(i.indexrelid), 1 + length(format(
                'CREATE %%sINDEX %%I ON %%s%%I.%%I', case when i.indisunique then 'UNIQUE ' else '' end, ic.relname,
                case when c.relkind = 'p' then 'ONLY ' else '' end, n.nspname, c.relname))) end as definition,
       i.indisunique as is_unique
from pg_index i
join pg_class ic on ic.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
where i.indrelid = %(oid)s::bigint::oid and i.indisvalid
order by i.indisprimary desc, k.oid is null, ic.relname
