-- Tell whether the WAL from the slot's position up to an LSN holds a commit of the task; the slot stays where it is.
select exists (
    select from pg_logical_slot_peek_binary_changes(
        %(slot_name)s, %(lsn)s, 1, variadic %(options)s::text[]))
