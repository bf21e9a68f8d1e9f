-- Tell whether something of a task waits that was taken apart by lanes: chunks, and dead letters that stopped it.
select exists (select from trempy.held_chunks where task_name = %(task_name)s)
    or exists (select from trempy.dead_letters where task_name = %(task_name)s and state = 'waiting')
