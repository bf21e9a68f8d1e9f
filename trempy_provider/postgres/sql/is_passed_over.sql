-- Tell whether the task went on without a dead letter.
select is_passed_over
from trempy.dead_letters
where task_name = %(task_name)s and message_id = %(message_id)s
