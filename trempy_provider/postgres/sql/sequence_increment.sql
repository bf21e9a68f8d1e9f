-- Read by how much a sequence moves.
select seqincrement from pg_sequence where seqrelid = %(sequence)s::regclass
