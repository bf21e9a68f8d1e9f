-- Until when a lease that ended in silence waits, so that the time without samples is known to be idle.

alter table trempy.statistics
    add column idle_until timestamptz;              -- null: at the period's last sample it was not waiting
