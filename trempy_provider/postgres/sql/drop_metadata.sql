-- Drop the metadata of all tasks.
drop schema trempy cascade
