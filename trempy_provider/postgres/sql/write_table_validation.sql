-- Record how far a validation is in a table.
insert into trempy.table_validations (
    task_name, source_oid, source_name, target_name, state, position, row_count, range_count,
    missing_count, different_count, extra_count, tolerated_count, failing_count, unsettled_count,
    repaired_count, failed_count, notes, finished_at
)
values (
    %(task_name)s, %(source_oid)s, %(source_name)s, %(target_name)s, %(state)s, %(position)s::text[],
    %(row_count)s, %(range_count)s, %(missing_count)s, %(different_count)s, %(extra_count)s,
    %(tolerated_count)s, %(failing_count)s, %(unsettled_count)s, %(repaired_count)s, %(failed_count)s,
    %(notes)s::text[], case when %(is_finished)s then clock_timestamp() end
)
on conflict (task_name, source_oid) do update
set source_name = excluded.source_name, target_name = excluded.target_name, state = excluded.state,
    position = excluded.position, row_count = excluded.row_count, range_count = excluded.range_count,
    missing_count = excluded.missing_count, different_count = excluded.different_count,
    extra_count = excluded.extra_count, tolerated_count = excluded.tolerated_count,
    failing_count = excluded.failing_count, unsettled_count = excluded.unsettled_count,
    repaired_count = excluded.repaired_count, failed_count = excluded.failed_count,
    notes = excluded.notes, finished_at = excluded.finished_at
