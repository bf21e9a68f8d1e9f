-- Keep what tells the rows of a dead letter's table apart; described twice in one letter, it tells nothing.
insert into trempy.dead_letter_tables as present (dead_letter_id, source_oid, identity_columns, is_exact)
values (%(dead_letter_id)s, %(source_oid)s, %(identity_columns)s, %(is_exact)s)
on conflict (dead_letter_id, source_oid) do update
set is_exact = present.is_exact and excluded.is_exact
               and present.identity_columns = excluded.identity_columns
