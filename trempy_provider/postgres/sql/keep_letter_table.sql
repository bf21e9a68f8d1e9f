-- Keep what tells the rows of a dead letter's table apart: nothing for a truncate; nothing certain if it differs.
insert into trempy.dead_letter_tables as present (dead_letter_id, source_oid, identity_columns, is_exact)
values (%(dead_letter_id)s, %(source_oid)s, %(identity_columns)s, %(is_exact)s)
on conflict (dead_letter_id, source_oid) do update
set identity_columns = case when present.identity_columns = '{}' then excluded.identity_columns
                            else present.identity_columns end,
    is_exact = case when present.identity_columns = '{}' then excluded.is_exact
                    when excluded.identity_columns = '{}' then present.is_exact
                    else present.is_exact and present.identity_columns = excluded.identity_columns end
