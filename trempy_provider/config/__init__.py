"""What a user writes: the settings of a replication task."""
