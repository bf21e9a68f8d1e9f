-- When the last transaction committed that capture has published: a source with another history is noticed by it.

alter table trempy.capture_progress add column published_commit_at timestamptz;
