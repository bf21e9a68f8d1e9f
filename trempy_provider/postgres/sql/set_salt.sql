-- Set a salt for the rest of the session; nothing is returned that would show it.
select set_config(%(name)s, %(salt)s, false) is null
