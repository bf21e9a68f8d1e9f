-- Row errors as the server words them and as logs may show them, and since when they count.

alter table trempy.apply_errors add column summary text;  -- the message without values of the row
update trempy.apply_errors set summary = message;
alter table trempy.apply_errors alter column summary set not null;

alter table trempy.tasks add column errors_counted_since timestamptz;  -- the last stop because of their number
