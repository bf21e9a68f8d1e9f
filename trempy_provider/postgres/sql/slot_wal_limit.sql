-- Read how much WAL a slot may retain, in bytes; null without a limit.
select case when setting::bigint >= 0 then setting::bigint * 1024 * 1024 end
from pg_settings
where name = 'max_slot_wal_keep_size'
