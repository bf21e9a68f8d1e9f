"""The assistant: drafts the settings of a replication task, and proves a draft before anybody starts it."""
