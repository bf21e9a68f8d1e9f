-- List the publications that have names as tasks give them.
select pubname::text from pg_publication where starts_with(pubname::text, %(prefix)s) order by pubname
