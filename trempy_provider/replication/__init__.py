"""The pure core: bytes and values, no driver and no server."""
