-- Count a start of capture; whatever earlier ones had not brought to its end is sent anew.
update trempy.capture_progress
set session_number = session_number + 1
where task_name = %(task_name)s
returning session_number
