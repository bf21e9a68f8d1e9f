-- Tell whether the metadata schema has been created.
select to_regclass('trempy.migrations') is not null
