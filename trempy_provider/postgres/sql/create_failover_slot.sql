-- Create a slot that standbys synchronize (PostgreSQL 17 and newer); waits like create_slot.
select lsn from pg_create_logical_replication_slot(%(name)s, 'pgoutput', false, false, true)
