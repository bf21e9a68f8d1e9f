-- Record in a task's checkpoint what all of its lanes have applied; whoever has locked it does so later.
with present as (
    select task_name from trempy.checkpoints where task_name = %(task_name)s for update skip locked),
slowest as (
    select * from trempy.lanes where task_name = %(task_name)s order by end_lsn, lane limit 1),
together as (
    select sum(change_count) as change_count, max(capture_session) as capture_session,
           bool_or(skip_lsn is not null) as is_skipping
    from trempy.lanes where task_name = %(task_name)s)
update trempy.checkpoints c
set end_lsn = s.end_lsn, commit_lsn = s.commit_lsn, committed_at = s.committed_at, applied_at = s.applied_at,
    transaction_count = s.transaction_count, change_count = t.change_count, capture_session = t.capture_session,
    skip_lsn = case when t.is_skipping then c.skip_lsn end
from present p, slowest s, together t
where c.task_name = p.task_name and c.end_lsn <= s.end_lsn
  and (c.end_lsn, c.change_count, c.capture_session, c.skip_lsn is not null)
      is distinct from (s.end_lsn, t.change_count, t.capture_session, t.is_skipping)
