-- The metadata of replication tasks, in the target: progress, table states, counts, errors.

create table trempy.tasks (
    task_name          text primary key,
    set_up_at          timestamptz not null default now(),
    system_identifier  text not null,           -- of the source
    timeline           integer not null,
    source_database    text not null,
    slot_name          text,                    -- null: the task captures no changes
    publication_name   text,
    consistent_point   pg_lsn,                  -- where the slot starts
    stop_reason        text,                    -- why a person is needed; null while all is well
    stopped_at         timestamptz
);

-- One row per task, locked by every transaction that changes the task's target tables.
create table trempy.checkpoints (
    task_name          text primary key references trempy.tasks on delete cascade,
    end_lsn            pg_lsn not null,         -- everything committed on the source before it is applied
    commit_lsn         pg_lsn,                  -- of the last transaction applied
    committed_at       timestamptz,             -- on the source
    applied_at         timestamptz,
    transaction_count  bigint not null default 0,
    change_count       bigint not null default 0,
    states_version     bigint not null default 0  -- raised whenever a row of table_states changes
);

-- What capture has published; while idle, the slot may advance with nothing to publish.
create table trempy.capture_progress (
    task_name          text primary key references trempy.tasks on delete cascade,
    published_lsn      pg_lsn not null,         -- end of the last batch published
    idle               boolean not null default false,  -- nothing was published since published_lsn
    seen_lsn           pg_lsn not null,         -- everything committed before it is in published batches
    seen_at            timestamptz not null default now(),
    batch_count        bigint not null default 0,
    change_count       bigint not null default 0,
    published_bytes    bigint not null default 0
);

create table trempy.table_states (
    task_name          text not null references trempy.tasks on delete cascade,
    source_oid         oid not null,
    source_schema      text not null,
    source_table       text not null,
    target_schema      text not null,
    target_table       text not null,
    key_columns        text[] not null,         -- empty: rows are identified by all their columns
    state              text not null check (state in ('pending', 'loading', 'ready', 'error')),
    created_by_task    boolean not null default false,
    load_id            bigint not null default 0,  -- counts the loads of this table
    load_table         text,                    -- where rows are collected while loading, in schema trempy
    snapshot_lsn       pg_lsn,                  -- changes committed before it are in the loaded rows
    estimated_rows     bigint,
    loaded_rows        bigint not null default 0,
    loaded_bytes       bigint not null default 0,
    load_started_at    timestamptz,
    load_finished_at   timestamptz,
    error              text,
    insert_count       bigint not null default 0,
    update_count       bigint not null default 0,
    delete_count       bigint not null default 0,
    truncate_count     bigint not null default 0,
    error_count        bigint not null default 0,
    last_change_at     timestamptz,
    primary key (task_name, source_oid)
);

-- Changes that wait: of tables being loaded, and chunks of transactions that are not complete yet.
create table trempy.held_changes (
    held_id            bigint generated always as identity primary key,
    task_name          text not null references trempy.tasks on delete cascade,
    source_oid         oid,                     -- null: a chunk of a large transaction
    commit_lsn         pg_lsn not null,
    chunk_id           text,                    -- the message of the chunk
    chunk_index        integer,
    body               bytea not null           -- a batch in wire format
);
alter table trempy.held_changes alter column body set storage external;
create index held_changes_task on trempy.held_changes (task_name, source_oid, held_id);
create unique index held_changes_chunk on trempy.held_changes (task_name, commit_lsn, chunk_id, chunk_index)
    where source_oid is null;

create table trempy.apply_errors (
    error_id           bigint generated always as identity primary key,
    task_name          text not null references trempy.tasks on delete cascade,
    source_oid         oid not null,
    target_schema      text not null,
    target_table       text not null,
    operation          text not null,
    key_values         jsonb,                   -- the key's column names and text values
    sqlstate           text not null,
    message            text not null,
    statement          text not null,
    transaction_id     bigint not null,
    commit_lsn         pg_lsn not null,
    change_index       bigint not null,         -- 0-based within its transaction
    occurred_at        timestamptz not null default now()
);
create index apply_errors_task on trempy.apply_errors (task_name, occurred_at);

create table trempy.dead_letters (
    dead_letter_id     bigint generated always as identity primary key,
    task_name          text not null references trempy.tasks on delete cascade,
    message_id         text not null,
    first_lsn          pg_lsn,
    last_lsn           pg_lsn,
    reason             text not null,
    is_passed_over     boolean not null default false,  -- the task went on without it
    occurred_at        timestamptz not null default now(),
    unique (task_name, message_id)
);
