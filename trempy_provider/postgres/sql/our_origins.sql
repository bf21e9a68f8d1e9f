-- List the replication origins that have names as tasks of this database give them.
select roname from pg_replication_origin where starts_with(roname, %(prefix)s) order by roname
