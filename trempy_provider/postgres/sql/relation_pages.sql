-- Return how many pages the main file of a relation has now.
select pg_relation_size(%(oid)s::bigint::oid::regclass) / current_setting('block_size')::bigint
