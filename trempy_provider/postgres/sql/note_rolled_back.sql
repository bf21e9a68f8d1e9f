-- Note which subtransactions of a held transaction were rolled back.
insert into trempy.rolled_back_subtransactions (task_name, lane, session_number, transaction_id, subtransaction_id)
select %(task_name)s, %(lane)s, %(session_number)s, %(transaction_id)s, unnest(%(rolled_back)s::bigint[])
on conflict do nothing
