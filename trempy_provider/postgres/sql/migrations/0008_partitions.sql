-- The leaf partitions of a partitioned source table whose rows the target has; null: not known yet.

alter table trempy.table_states add column partition_oids bigint[];
