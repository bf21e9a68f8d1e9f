-- Mark no more of what the session writes.
select pg_replication_origin_session_reset()
