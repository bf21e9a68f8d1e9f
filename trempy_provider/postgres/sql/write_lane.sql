-- Give tables to a lane.
update trempy.table_states set lane = %(lane)s
where task_name = %(task_name)s and source_oid = any(%(oids)s::bigint[]::oid[])
