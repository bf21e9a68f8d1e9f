"""The inner workings of a full load."""
