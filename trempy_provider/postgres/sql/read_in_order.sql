-- Let this transaction's sequential scans begin at the first row, and return rows in their order on disk.
select set_config('synchronize_seqscans', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)
