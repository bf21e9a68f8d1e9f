"""Message brokers between capture and apply."""
