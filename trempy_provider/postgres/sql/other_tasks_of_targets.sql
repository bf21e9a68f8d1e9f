-- List the target tables named that another task writes to.
select s.target_schema, s.target_table, s.task_name
from trempy.table_states s
join unnest(%(schemas)s::text[], %(tables)s::text[]) as wanted (schema_name, table_name)
  on s.target_schema = wanted.schema_name and s.target_table = wanted.table_name
where s.task_name <> %(task_name)s
order by 1, 2, 3
