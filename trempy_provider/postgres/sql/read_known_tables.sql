-- Read the source tables of a task as they are known.
select source_oid::bigint, description
from trempy.known_tables
where task_name = %(task_name)s
