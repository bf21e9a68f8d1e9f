-- Create a replication origin unless it exists.
select pg_replication_origin_create(%(name)s)
where not exists (select from pg_replication_origin where roname = %(name)s)
