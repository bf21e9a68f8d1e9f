-- Note which tables are joined by foreign keys.
update trempy.table_states s
set component = c.component::oid
from unnest(%(oids)s::bigint[], %(components)s::bigint[]) c (source_oid, component)
where s.task_name = %(task_name)s and s.source_oid = c.source_oid::oid and s.component is distinct from c.component::oid
