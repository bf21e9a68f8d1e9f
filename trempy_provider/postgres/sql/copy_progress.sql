-- Read how many rows the COPY of each of some sessions has written.
select pid, tuples_processed
from pg_stat_progress_copy
where pid = any (%(pids)s::integer[])
