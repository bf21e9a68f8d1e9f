-- Keep which rows a dead letter is about.
insert into trempy.dead_letter_rows (dead_letter_id, source_oid, row_digest)
select %(dead_letter_id)s, %(source_oid)s, unnest(%(digests)s::bytea[])
on conflict do nothing
