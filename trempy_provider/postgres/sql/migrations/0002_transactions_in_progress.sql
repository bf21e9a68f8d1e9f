-- Chunks of transactions that are still in progress on the source: their commit LSN is not known.

alter table trempy.capture_progress
    add column session_number bigint not null default 0;  -- counts the starts of capture

alter table trempy.checkpoints
    add column capture_session bigint not null default 0;  -- the last start of capture whose batches are applied

delete from trempy.held_changes where source_oid is null;
drop index trempy.held_changes_chunk;
alter table trempy.held_changes
    drop column chunk_id,
    drop column chunk_index,
    alter column source_oid set not null;

create table trempy.held_chunks (
    task_name          text not null references trempy.tasks on delete cascade,
    session_number     bigint not null,
    transaction_id     bigint not null,
    chunk_index        integer not null,
    body               bytea not null,          -- a batch in wire format
    primary key (task_name, session_number, transaction_id, chunk_index)
);
alter table trempy.held_chunks alter column body set storage external;

create table trempy.rolled_back_subtransactions (
    task_name          text not null references trempy.tasks on delete cascade,
    session_number     bigint not null,
    transaction_id     bigint not null,
    subtransaction_id  bigint not null,
    primary key (task_name, session_number, transaction_id, subtransaction_id)
);
