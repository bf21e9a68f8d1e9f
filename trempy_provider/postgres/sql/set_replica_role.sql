-- Keep triggers and foreign keys quiet until the transaction ends, where the role may.
select set_config('session_replication_role', 'replica', true)
where has_parameter_privilege('session_replication_role', 'set')
