-- Drop a replication origin.
select pg_replication_origin_drop(%(name)s)
