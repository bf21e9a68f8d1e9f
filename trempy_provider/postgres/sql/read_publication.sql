-- Read a publication's options, one row; its comment tells which filters its row filters stand for.
select p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
       exists (select from pg_publication_namespace n where n.pnpubid = p.oid),
       obj_description(p.oid, 'pg_publication')
from pg_publication p
where p.pubname = %(name)s
