-- What became of each dead letter, what its replay has to know, and the transaction to skip.

alter table trempy.dead_letters
    add column state text not null default 'waiting'
        check (state in ('waiting', 'passed_over', 'applied', 'replayed', 'discarded')),
    add column transaction_id bigint,
    add column attempt_count integer,
    add column settled_at timestamptz;          -- when it was applied, replayed or discarded
update trempy.dead_letters set state = 'passed_over' where is_passed_over;
alter table trempy.dead_letters drop column is_passed_over;

-- The chunks of a large transaction that was passed over.
create table trempy.dead_letter_chunks (
    dead_letter_id     bigint not null references trempy.dead_letters on delete cascade,
    chunk_index        integer not null,
    body               bytea not null,          -- a batch in wire format
    primary key (dead_letter_id, chunk_index)
);
alter table trempy.dead_letter_chunks alter column body set storage external;

-- The tables of a dead letter that was passed over, and what has happened to them since.
create table trempy.dead_letter_tables (
    dead_letter_id     bigint not null references trempy.dead_letters on delete cascade,
    source_oid         oid not null,
    identity_columns   text[] not null,         -- what tells its rows apart: names and types
    is_exact           boolean not null,        -- equal rows have equal texts, so digests tell
    changed_since      pg_lsn,                  -- the first later change of the table
    replaced_since     pg_lsn,                  -- truncated, or its rows told apart by other columns
    primary key (dead_letter_id, source_oid)
);

create table trempy.dead_letter_rows (
    dead_letter_id     bigint not null references trempy.dead_letters on delete cascade,
    source_oid         oid not null,
    row_digest         bytea not null,          -- of the values in the identity columns
    changed_since      pg_lsn,                  -- the first later change of the row
    primary key (dead_letter_id, source_oid, row_digest)
);

alter table trempy.checkpoints
    add column passed_over_count integer not null default 0,  -- dead letters that may still be replayed
    add column skip_lsn pg_lsn;                 -- commit LSN of the transaction to leave out
update trempy.checkpoints c
set passed_over_count = (select count(*) from trempy.dead_letters l
                         where l.task_name = c.task_name and l.state = 'passed_over');

create table trempy.skipped_transactions (
    task_name          text not null references trempy.tasks on delete cascade,
    commit_lsn         pg_lsn not null,
    transaction_id     bigint,                  -- null: no such transaction came
    change_count       bigint not null default 0,
    skipped_at         timestamptz not null default now(),
    primary key (task_name, commit_lsn)
);
