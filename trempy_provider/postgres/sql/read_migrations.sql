-- List the migrations that have run.
select name from trempy.migrations order by name
