-- List why a table cannot be dropped and another put in its place without a loss.
with target as (
    select c.*, t.typarray
    from pg_class c
    left join pg_type t on t.oid = c.reltype
    where c.oid = %(oid)s::bigint::oid
)
select 'is not an ordinary table' from target where relkind <> 'r' or relispartition or relpersistence <> 'p'
union all select 'is owned by another role' from target where relowner <> current_user::regrole
union all select 'lies in a schema where the role may not create'
    from target where not has_schema_privilege(relnamespace, 'create')
union all select 'has grants' from target where relacl is not null
union all select 'has column grants'
    from target where exists (select from pg_attribute a where a.attrelid = target.oid and a.attacl is not null)
union all select 'has column options'
    -- Those that ALTER TABLE sets: some builds keep a version of their own there, on every column.
    from target where exists (select from pg_attribute a
                              cross join lateral pg_options_to_table(a.attoptions) as option
                              where a.attrelid = target.oid
                                and option.option_name in ('n_distinct', 'n_distinct_inherited'))
union all select 'has storage options' from target
    where reloptions is not null or reltablespace <> 0 or reloftype <> 0 or relreplident <> 'd'
union all select 'has row security' from target
    where relrowsecurity or exists (select from pg_policy p where p.polrelid = target.oid)
union all select 'has triggers' from target
    where exists (select from pg_trigger t where t.tgrelid = target.oid and not t.tgisinternal)
union all select 'has rules' from target
    where exists (select from pg_rewrite r where r.ev_class = target.oid)
union all select 'has foreign keys' from target
    where exists (select from pg_constraint k where k.contype = 'f' and k.conrelid = target.oid)
union all select 'is referenced by foreign keys' from target
    where exists (select from pg_constraint k where k.contype = 'f' and k.confrelid = target.oid)
union all select 'is published' from target
    where exists (select from pg_publication_rel p where p.prrelid = target.oid)
union all select 'inherits or is inherited' from target
    where exists (select from pg_inherits i where target.oid in (i.inhrelid, i.inhparent))
union all select 'has extended statistics' from target
    where exists (select from pg_statistic_ext s where s.stxrelid = target.oid)
union all select 'has a security label' from target
    where exists (select from pg_seclabel s where s.classoid = 'pg_class'::regclass and s.objoid = target.oid)
union all select 'is used by a view or a function' from target
    where exists (select from pg_depend d
                  where d.deptype = 'n' and d.refclassid = 'pg_class'::regclass and d.refobjid = target.oid
                    and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass))
union all select 'gives its row type to something' from target
    where exists (select from pg_depend d
                  where d.deptype = 'n' and d.refclassid = 'pg_type'::regclass
                    and d.refobjid in (target.reltype, target.typarray))
