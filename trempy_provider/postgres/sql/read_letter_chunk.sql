-- Read a chunk of a large transaction that was passed over.
select body
from trempy.dead_letter_chunks
where dead_letter_id = %(dead_letter_id)s
  and chunk_index = %(chunk_index)s
