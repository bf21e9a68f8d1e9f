-- Delete the records of a task's dead letters that were settled before the period, some at a time.
delete from trempy.dead_letters
where dead_letter_id in (select dead_letter_id from trempy.dead_letters
                         where task_name = %(task_name)s and state in ('applied', 'replayed', 'discarded')
                           and settled_at < clock_timestamp() - make_interval(secs => %(period_seconds)s)
                         limit %(row_count)s)
