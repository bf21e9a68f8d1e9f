-- Note what became of a dead letter, and forget what only its replay had to know.
with letter as (
    update trempy.dead_letters set state = %(state)s, settled_at = now()
    where task_name = %(task_name)s and message_id = %(message_id)s
    returning dead_letter_id),
chunks as (delete from trempy.dead_letter_chunks c using letter l where c.dead_letter_id = l.dead_letter_id),
tables as (delete from trempy.dead_letter_tables t using letter l where t.dead_letter_id = l.dead_letter_id)
delete from trempy.dead_letter_rows r using letter l where r.dead_letter_id = l.dead_letter_id
