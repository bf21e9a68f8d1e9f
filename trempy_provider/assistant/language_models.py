"""Language models without Airflow: the fields of a connection as pydantic-ai's provider takes them."""

from __future__ import annotations

from functools import partial
from typing import Any

from trempy_provider.assistant.model import DEFAULT_MODEL, ModelDrafter
from trempy_provider.errors import ConfigurationError


def open_model(
    *, api_key: str | None, base_url: str | None, model_name: str | None, **options: Any
) -> ModelDrafter:
    """Return the drafter of a model, `provider:name`; raise ConfigurationError when there is no such model.

    Where neither key nor address is given, pydantic-ai reads what the provider's own variables say.
    """
    name = model_name or DEFAULT_MODEL
    fields = {key: value for key, value in (("api_key", api_key), ("base_url", base_url)) if value}
    try:
        from pydantic_ai import Agent  # noqa: PLC0415  # the extra `ai`
        from pydantic_ai.exceptions import UserError  # noqa: PLC0415
        from pydantic_ai.models import infer_model  # noqa: PLC0415
        from pydantic_ai.providers import infer_provider, infer_provider_class  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "drafting with a model needs the extra `ai`",
            hint="pip install 'airflow-provider-trempy[ai]', or --no-model.",
        ) from error
    try:
        model = infer_model(
            name,
            lambda provider: infer_provider_class(provider)(**fields) if fields else infer_provider(provider),
        )
    except (UserError, ValueError, TypeError, ImportError) as error:
        given = " and ".join(fields) or "neither key nor address"
        raise ConfigurationError(
            f"the model {name!r} cannot be used with {given}, which its connection gives",
            hint="Name it as provider:model in the extra `model`, such as deepseek:deepseek-chat; "
            "its key is the password, its address the host.",
        ) from error
    return ModelDrafter(partial(Agent, model), name, **options)
