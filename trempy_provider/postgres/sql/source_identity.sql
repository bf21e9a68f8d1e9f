-- Identify the server, its timeline and the database.
select (select system_identifier::text from pg_control_system()),
       (select timeline_id from pg_control_checkpoint()),
       current_database()::text
