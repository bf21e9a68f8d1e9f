-- Add the changes of one transaction of apply to the counts of its tables.
update trempy.table_states s
set insert_count = s.insert_count + n.inserts,
    update_count = s.update_count + n.updates,
    delete_count = s.delete_count + n.deletes,
    truncate_count = s.truncate_count + n.truncates,
    error_count = s.error_count + n.errors,
    last_change_at = clock_timestamp()
from unnest(%(source_oids)s::oid[], %(inserts)s::bigint[], %(updates)s::bigint[], %(deletes)s::bigint[],
            %(truncates)s::bigint[], %(errors)s::bigint[])
     as n(source_oid, inserts, updates, deletes, truncates, errors)
where s.task_name = %(task_name)s
  and s.source_oid = n.source_oid
