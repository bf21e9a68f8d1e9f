-- Read what has happened to a task's tables since somebody else than this announcer has announced them.
select s.source_oid::bigint, s.source_schema, s.source_table, s.target_schema, s.target_table,
       coalesce(a.counts, '{0,0,0,0}'), array[s.insert_count, s.update_count, s.delete_count, s.truncate_count],
       a.loaded_at, s.load_finished_at, s.loaded_rows, s.snapshot_lsn, c.end_lsn, c.committed_at
from trempy.table_states s
join trempy.checkpoints c on c.task_name = s.task_name
left join lateral (
    select case when announcer = %(announcer)s then counts_before else counts_after end as counts,
           case when announcer = %(announcer)s then loaded_before else loaded_after end as loaded_at
    from trempy.announcements
    where task_name = s.task_name and source_oid = s.source_oid
) a on true
where s.task_name = %(task_name)s
  and (array[s.insert_count, s.update_count, s.delete_count, s.truncate_count]
           is distinct from coalesce(a.counts, '{0,0,0,0}')
       or s.load_finished_at is distinct from a.loaded_at)
order by s.source_schema, s.source_table
