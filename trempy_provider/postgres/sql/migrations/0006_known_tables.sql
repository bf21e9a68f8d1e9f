-- The columns of each source table as the changes applied last had them; DDL of the source is found by comparison.

create table trempy.known_tables (
    task_name          text not null,
    source_oid         oid not null,
    description        jsonb not null,
    primary key (task_name, source_oid),
    foreign key (task_name, source_oid) references trempy.table_states on delete cascade
);
