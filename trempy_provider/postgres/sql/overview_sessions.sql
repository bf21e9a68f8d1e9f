-- List the application names of all tasks' sessions with this database.
select distinct application_name
from pg_stat_activity
where datname = current_database() and starts_with(application_name, 'trempy/')
