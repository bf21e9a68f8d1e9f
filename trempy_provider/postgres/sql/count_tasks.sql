-- Count the tasks set up in this database.
select count(*) from trempy.tasks
