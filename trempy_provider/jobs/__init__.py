"""The product: one use case per file."""
