-- Forget all but the last batches of a task.
delete from trempy.applied_batches
where task_name = %(task_name)s
  and batch_id <= (select batch_id
                   from trempy.applied_batches
                   where task_name = %(task_name)s
                   order by batch_id desc
                   offset %(kept)s
                   limit 1)
