-- Tell whether the role may set a sequence, its name quoted where needed.
select has_sequence_privilege(%(sequence)s, 'update') and has_schema_privilege(n.oid, 'usage')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = %(sequence)s::regclass
