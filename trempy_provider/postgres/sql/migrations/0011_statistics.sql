-- What tasks have done over time, the batches applied last, and how running leases are asked to end.

alter table trempy.tasks
    add column pause_count bigint not null default 0;  -- raised to let the leases that run end

-- How far a task was: a row a minute, an hour and a day; counts are those since the task was set up.
create table trempy.statistics (
    task_name          text not null references trempy.tasks on delete cascade,
    period_seconds     integer not null,        -- 60, 3600, 86400
    begins_at          timestamptz not null,
    lag_seconds        double precision,        -- the largest of the period; null: not known
    lag_bytes          bigint,
    queue_depth        bigint,
    retained_bytes     bigint,
    insert_count       bigint not null,
    update_count       bigint not null,
    delete_count       bigint not null,
    error_count        bigint not null,
    batch_count        bigint not null,
    published_bytes    bigint not null,
    primary key (task_name, period_seconds, begins_at)
);

-- The same counts of each table that has changed in the period.
create table trempy.table_statistics (
    task_name          text not null references trempy.tasks on delete cascade,
    source_oid         oid not null,
    period_seconds     integer not null,
    begins_at          timestamptz not null,
    insert_count       bigint not null,
    update_count       bigint not null,
    delete_count       bigint not null,
    error_count        bigint not null,
    primary key (task_name, period_seconds, begins_at, source_oid)
);

create table trempy.applied_batches (
    batch_id           bigint generated always as identity primary key,
    task_name          text not null references trempy.tasks on delete cascade,
    applied_at         timestamptz not null,
    end_lsn            pg_lsn not null,
    transaction_count  bigint not null,
    change_count       bigint not null,
    seconds            double precision not null
);
create index applied_batches_task on trempy.applied_batches (task_name, batch_id);
