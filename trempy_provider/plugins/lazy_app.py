"""The app of the page "Replication", made when the first request comes.

Every process of Airflow loads the plugin; only the API server needs the app.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

ASGI = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class LazyApp:
    """An ASGI app that makes the one behind it when it is first asked."""

    def __init__(self) -> None:
        self._app: ASGI | None = None

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Answer a request."""
        if self._app is None:
            from trempy_provider.plugins.api.app import create_app  # noqa: PLC0415

            self._app = create_app()
        await self._app(scope, receive, send)
