"""The inner workings of a validation."""
