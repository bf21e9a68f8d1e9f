-- Keep a chunk of a large transaction that is passed over.
insert into trempy.dead_letter_chunks (dead_letter_id, chunk_index, body)
values (%(dead_letter_id)s, %(chunk_index)s, %(body)s)
on conflict do nothing
