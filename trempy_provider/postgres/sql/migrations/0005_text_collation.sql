-- The collation that letters and the order of text follow in a task's filters and transformations.

alter table trempy.tasks add column text_collation text;
