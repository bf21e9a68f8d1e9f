-- Note what is announced of a table, in the transaction that has locked and read the news.
insert into trempy.announcements
    (task_name, source_oid, announcer, counts_before, counts_after, loaded_before, loaded_after)
values (%(task_name)s, %(source_oid)s, %(announcer)s, %(counts_before)s, %(counts_after)s,
        %(loaded_before)s, %(loaded_after)s)
on conflict (task_name, source_oid) do update
set announcer = excluded.announcer, announced_at = now(),
    counts_before = excluded.counts_before, counts_after = excluded.counts_after,
    loaded_before = excluded.loaded_before, loaded_after = excluded.loaded_after
