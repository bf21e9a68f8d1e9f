-- Tell whether the task's last validation was to do the same and has not come to its end.
select exists (
    select from trempy.validations
    where task_name = %(task_name)s and tables = %(tables)s and repairs = %(repairs)s and finished_at is null
)
