-- List which of some replication origins exist.
select roname from pg_replication_origin where roname = any(%(names)s)
