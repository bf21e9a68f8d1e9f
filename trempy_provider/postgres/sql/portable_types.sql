-- Name the types whose binary form means the same on every server: built-in ones of a list, their arrays, enums.
select t.oid::bigint,
       case when t.typtype = 'e' then 'enum' else t.typname::text end as portable_name
from pg_type t
left join pg_type element on element.oid = t.typelem and t.typcategory = 'A'
where t.oid = any (%(oids)s::bigint[]::oid[])
  and (t.typtype = 'e'
       or t.typnamespace = 'pg_catalog'::regnamespace
          and coalesce(element.typname, t.typname)::text = any (%(names)s))
