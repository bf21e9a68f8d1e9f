"""The JSON Schema of the settings format, and its words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from trempy_provider.config.task import ReplicationTask

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

SchemaNode = Mapping[str, Any]

_TYPE_WORDS: Mapping[str, str] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "null": "null",
}


def task_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a task's settings; the caller owns the copy."""
    copy: dict[str, Any] = json.loads(_schema_text())
    return copy


def resolve(node: SchemaNode, *, root: SchemaNode) -> SchemaNode:
    """Follow references, and leave out the alternative null."""
    while True:
        if "$ref" in node:
            node = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        elif "anyOf" in node:
            node = next(choice for choice in node["anyOf"] if choice.get("type") != "null")
        else:
            return node


def describe_allowed(node: SchemaNode, *, root: SchemaNode) -> str:
    """Say in a few words which values the node allows."""
    nullable = any(choice.get("type") == "null" for choice in node.get("anyOf", ()))
    return _words_of(resolve(node, root=root), root=root) + ("; or null" if nullable else "")


def choices_of(node: SchemaNode) -> tuple[str, ...]:
    """Return the words a node allows, or nothing if they cannot be listed."""
    if "discriminator" in node:
        return tuple(node["discriminator"]["mapping"])
    return (node["const"],) if "const" in node else tuple(node.get("enum", ()))


def _words_of(node: SchemaNode, *, root: SchemaNode) -> str:
    if "$comment" in node:
        return str(node["$comment"])
    if choices_of(node):
        return ", ".join(choices_of(node)) if "discriminator" not in node else "an object"
    if node.get("type") == "array":
        return _array_words(node, root=root)
    if node.get("type") == "object":
        return f"an object with the keys {', '.join(node['properties'])}"
    return _TYPE_WORDS[node["type"]] + _bounds(node)


def _array_words(node: SchemaNode, *, root: SchemaNode) -> str:
    minimum, maximum = node.get("minItems"), node.get("maxItems")
    count = f" of exactly {minimum}" if minimum == maximum else f" of {minimum} or more"
    item = resolve(node["items"], root=root)
    words = "objects" if item.get("type") == "object" else describe_allowed(item, root=root)
    return f"a list{count if minimum else ''}, each: {words}"


def _bounds(node: SchemaNode) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {node['minimum']} to {node['maximum']}"
    if "minimum" in node:
        return f", at least {node['minimum']}"
    if "exclusiveMinimum" in node:
        at_most = f" and at most {node['maximum']}" if "maximum" in node else ""
        return f" greater than {node['exclusiveMinimum']:g}{at_most}"
    return ""


class _WithoutTitles(GenerateJsonSchema):
    """Leave out the titles made of names: the descriptions say more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 -- the signature is pydantic's
        return False


@lru_cache(maxsize=1)
def _schema_text() -> str:
    schema = ReplicationTask.model_json_schema(by_alias=True, schema_generator=_WithoutTitles)
    return json.dumps({"$schema": SCHEMA_DIALECT, **schema})
