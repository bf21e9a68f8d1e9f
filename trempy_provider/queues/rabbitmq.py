"""RabbitMQ for Airflow's `MessageQueueTrigger`, by scheme or by URI."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.providers.common.messaging.providers.base_provider import BaseMessageQueueProvider

from trempy_provider.errors import ConfigurationError
from trempy_provider.triggers.rabbitmq import RabbitMQQueueTrigger

SCHEME = "rabbitmq"
_URI_HINT = "Write rabbitmq://<connection id>/<queue>, or rabbitmq:///<queue> for rabbitmq_default; / is %2F."


class RabbitMQMessageQueueProvider(BaseMessageQueueProvider):
    """Queues of RabbitMQ: `scheme="rabbitmq"` with the trigger's arguments, or `rabbitmq://conn_id/queue`.

    A URI names an Airflow connection, which has the host, the virtual host, the password and the TLS options.
    """

    scheme = SCHEME

    def queue_matches(self, queue: str) -> bool:
        """Tell whether a URI is of RabbitMQ."""
        return re.match(rf"{SCHEME}://", queue, re.IGNORECASE) is not None

    def trigger_class(self) -> type[RabbitMQQueueTrigger]:
        """Return the trigger."""
        return RabbitMQQueueTrigger

    def trigger_kwargs(self, queue: str, **kwargs: Any) -> dict[str, Any]:
        """Return what a URI says of the trigger's arguments; one that is given beside the URI wins.

        Raise ConfigurationError for a URI that says anything else.
        """
        parts = urlsplit(queue)
        if "@" in parts.netloc or ":" in parts.netloc:
            # The URI is not quoted: it may hold a password.
            raise ConfigurationError("a RabbitMQ queue's URI names no host and no password", hint=_URI_HINT)
        if parts.query or parts.fragment or "/" in parts.path[1:] or not parts.path[1:]:
            raise ConfigurationError(f"not a RabbitMQ queue's URI: {queue!r}", hint=_URI_HINT)
        said = {"queue_name": unquote(parts.path[1:])}
        if parts.netloc:
            said["rabbitmq_conn_id"] = unquote(parts.netloc)
        return {name: value for name, value in said.items() if name not in kwargs}
