"""A source as the assistant sees it, without a server: the evaluation's."""

from benchmarks.assistant.shop import name, shop, table

__all__ = ["name", "shop", "table"]
