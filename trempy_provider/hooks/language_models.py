"""The language model that an Airflow connection names, through `apache-airflow-providers-common-ai`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks.connections import find_connection

_GENERIC_TYPE = "pydanticai"


def open_agent_factory(conn_id: str, *, default_model: str) -> tuple[Callable[..., Any], str]:
    """Return what makes agents of a connection's model, and the model's name.

    `default_model` is taken where a connection of the generic type names none.
    Raise ConfigurationError when there is no such connection, or the extra `ai` is not installed.
    """
    connection = find_connection(conn_id)
    try:
        from airflow.providers.common.ai.hooks.pydantic_ai import PydanticAIHook  # noqa: PLC0415  # the extra `ai`
    except ImportError as error:
        raise ConfigurationError(
            f"connection {conn_id!r} is a language model, which needs the extra `ai`",
            hint="pip install 'airflow-provider-trempy[ai]' on the workers.",
        ) from error
    name = connection.extra_dejson.get("model")
    if not name and connection.conn_type == _GENERIC_TYPE:
        name = default_model
    try:
        hook = PydanticAIHook.get_hook(conn_id, hook_params={"model_id": name})
        hook.get_conn()
    except Exception as error:  # noqa: BLE001  # what a provider's class raises is its own, and may quote the key
        kind = type(error).__name__
        raise ConfigurationError(
            f"connection {conn_id!r} is not a usable language model ({kind})",
            hint="Give it a type pydanticai…, the key as password and provider:model as the extra `model`.",
        ) from None
    return hook.create_agent, str(name or conn_id)
