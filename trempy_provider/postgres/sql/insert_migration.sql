-- Remember that a migration has run.
insert into trempy.migrations (name) values (%(name)s)
