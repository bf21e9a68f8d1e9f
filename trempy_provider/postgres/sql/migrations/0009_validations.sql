-- Validations: the last one of each task, how far it is in each table, and what it has found.

create table trempy.validations (
    task_name          text primary key references trempy.tasks on delete cascade,
    tables             text[] not null,         -- those asked for, by name; empty: all
    repairs            boolean not null,
    started_at         timestamptz not null default now(),
    finished_at        timestamptz              -- null: not finished, the next one goes on with it
);

create table trempy.table_validations (
    task_name          text not null references trempy.validations on delete cascade,
    source_oid         oid not null,
    source_name        text not null,
    target_name        text not null,
    state              text not null,
    position           text[],                  -- the key up to which the table is compared
    row_count          bigint not null default 0,   -- of the source
    range_count        bigint not null default 0,
    missing_count      bigint not null default 0,
    different_count    bigint not null default 0,
    extra_count        bigint not null default 0,
    tolerated_count    bigint not null default 0,   -- differences that the table's operations explain
    failing_count      bigint not null default 0,   -- rows of which the source cannot compute a value
    unsettled_count    bigint not null default 0,   -- rows that changed whenever they were looked at
    repaired_count     bigint not null default 0,
    failed_count       bigint not null default 0,   -- rows that could not be repaired
    notes              text[] not null default '{}',
    started_at         timestamptz not null default now(),
    finished_at        timestamptz,
    primary key (task_name, source_oid)
);

-- The keys of rows that differ, as the target has them; so many of a table.
create table trempy.validation_differences (
    difference_id      bigint generated always as identity primary key,
    task_name          text not null,
    source_oid         oid not null,
    kind               text not null,           -- missing, different, extra
    key_values         jsonb,                   -- null: the table has no key
    row_count          bigint not null default 1,
    outcome            text not null,           -- found, repaired, or the SQLSTATE of a failed repair
    found_at           timestamptz not null default now(),
    foreign key (task_name, source_oid) references trempy.table_validations on delete cascade
);
create index validation_differences_table on trempy.validation_differences (task_name, source_oid);
