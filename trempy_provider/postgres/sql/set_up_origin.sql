-- Mark what the session writes with a replication origin.
select pg_replication_origin_session_setup(%(name)s)
