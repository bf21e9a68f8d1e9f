-- Tell whether the role may keep triggers and foreign keys quiet while it applies changes.
select has_parameter_privilege('session_replication_role', 'set')
