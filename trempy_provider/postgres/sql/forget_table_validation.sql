-- Forget what a validation has found of a table.
delete from trempy.table_validations
where task_name = %(task_name)s and source_oid = %(source_oid)s::bigint::oid
