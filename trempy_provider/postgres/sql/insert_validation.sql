-- Begin a validation.
insert into trempy.validations (task_name, tables, repairs)
values (%(task_name)s, %(tables)s, %(repairs)s)
