"""How staged changes reach the target, one file per mode."""
