-- Apply in several processes: a checkpoint for each lane, the lane of each table, chunks held by lane.

-- Tasks with one lane have no row here; of the others, trempy.checkpoints tells what all lanes have applied.
create table trempy.lanes (
    task_name          text not null references trempy.tasks on delete cascade,
    lane               smallint not null,
    end_lsn            pg_lsn not null,
    commit_lsn         pg_lsn,
    committed_at       timestamptz,
    applied_at         timestamptz,
    transaction_count  bigint not null default 0,
    change_count       bigint not null default 0,
    states_version     bigint not null default 0,
    capture_session    bigint not null default 0,
    passed_over_count  integer not null default 0,
    skip_lsn           pg_lsn,
    primary key (task_name, lane)
);

alter table trempy.table_states
    add column component oid,       -- the smallest source_oid of the tables joined by foreign keys; null: not known
    add column lane smallint;       -- null: none was given to it yet, lane 0 applies its changes

alter table trempy.held_chunks
    add column lane smallint not null default 0,
    drop constraint held_chunks_pkey,
    add primary key (task_name, lane, session_number, transaction_id, chunk_index);

alter table trempy.rolled_back_subtransactions
    add column lane smallint not null default 0,
    drop constraint rolled_back_subtransactions_pkey,
    add primary key (task_name, lane, session_number, transaction_id, subtransaction_id);
