-- Tell whether the role may alter a publication.
select pg_has_role(pubowner, 'usage') from pg_publication where pubname = %(name)s
