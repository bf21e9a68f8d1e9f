-- Return which tables of a task are joined on the target: by a foreign key, or because they are the same there.
with tables as (
    select source_oid, to_regclass(format('%%I.%%I', target_schema, target_table)) as target_oid
    from trempy.table_states where task_name = %(task_name)s)
select a.source_oid::bigint, b.source_oid::bigint
from pg_constraint k
join tables a on a.target_oid = k.conrelid
join tables b on b.target_oid = k.confrelid
where k.contype = 'f'
union
select a.source_oid::bigint, b.source_oid::bigint
from tables a join tables b on a.target_oid = b.target_oid and a.source_oid < b.source_oid
