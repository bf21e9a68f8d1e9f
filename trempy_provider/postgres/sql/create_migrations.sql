-- Create the table that remembers which migrations have run.
create table trempy.migrations (
    name        text primary key,
    applied_at  timestamptz not null default now()
)
