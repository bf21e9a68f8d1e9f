"""The inner workings of apply."""
