-- Forget the changes held back for a table.
delete from trempy.held_changes where task_name = %(task_name)s and source_oid = %(source_oid)s
