-- What of each table has been announced to those who wait for fresh data, and by whom.

create table trempy.announcements (
    task_name          text not null,
    source_oid         oid not null,
    announcer          text not null,           -- who did it last; it may do so again from `counts_before` on
    counts_before      bigint[] not null,       -- inserts, updates, deletes, truncates
    counts_after       bigint[] not null,
    loaded_before      timestamptz,             -- the load that was announced
    loaded_after       timestamptz,
    announced_at       timestamptz not null default now(),
    primary key (task_name, source_oid),
    foreign key (task_name, source_oid) references trempy.table_states on delete cascade
);
