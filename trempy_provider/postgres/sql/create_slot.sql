-- Create the logical slot of a task and return its consistent point; waits for every transaction open in the cluster.
select lsn from pg_create_logical_replication_slot(%(name)s, 'pgoutput', false, false)
