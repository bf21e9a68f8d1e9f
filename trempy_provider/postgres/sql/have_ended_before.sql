-- Tell whether all transactions below an id have ended, prepared ones too.
select pg_snapshot_xmin(pg_current_snapshot()) >= %(transaction_id)s::xid8
