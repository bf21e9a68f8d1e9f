-- Record a source table as it is known now.
insert into trempy.known_tables (task_name, source_oid, description)
values (%(task_name)s, %(source_oid)s, %(description)s)
on conflict (task_name, source_oid) do update set description = excluded.description
