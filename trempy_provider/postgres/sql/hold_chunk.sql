-- Keep a chunk of a transaction that is not complete yet; a chunk delivered twice is kept once.
insert into trempy.held_chunks (task_name, lane, session_number, transaction_id, chunk_index, body)
values (%(task_name)s, %(lane)s, %(session_number)s, %(transaction_id)s, %(chunk_index)s, %(body)s)
on conflict do nothing
