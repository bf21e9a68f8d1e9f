-- Record a row that differs, as long as there are not too many of its table.
insert into trempy.validation_differences (task_name, source_oid, kind, key_values, row_count, outcome)
select %(task_name)s, %(source_oid)s::bigint::oid, %(kind)s, %(key_values)s::jsonb, %(row_count)s, %(outcome)s
where (
    select count(*) from trempy.validation_differences
    where task_name = %(task_name)s and source_oid = %(source_oid)s::bigint::oid
) < %(most)s
