-- Let the session's statements end after a time.
select set_config('statement_timeout', %(milliseconds)s::text, false)
