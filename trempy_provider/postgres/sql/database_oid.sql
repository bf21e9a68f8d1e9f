-- Return the OID of the session's database.
select oid::bigint from pg_database where datname = current_database()
