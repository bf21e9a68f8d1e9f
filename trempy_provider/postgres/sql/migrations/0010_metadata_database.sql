-- Tasks whose metadata is in two databases: what commits with the rows in the target, the rest in another one.

create table trempy.identity (
    schema_id          uuid primary key default gen_random_uuid()  -- tells this schema from those elsewhere
);
insert into trempy.identity default values;

-- A row has both ids null where target and metadata are this database.
alter table trempy.tasks
    alter column system_identifier drop not null,  -- in the target these are null when the rest is elsewhere
    alter column timeline drop not null,
    alter column source_database drop not null,
    add column metadata_id uuid,                -- in the target: the schema that has the rest
    add column target_id uuid;                  -- in the metadata database: the schema in the target
