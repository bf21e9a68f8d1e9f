-- Read a publication's options, one row.
select p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
       exists (select from pg_publication_namespace n where n.pnpubid = p.oid)
from pg_publication p
where p.pubname = %(name)s
