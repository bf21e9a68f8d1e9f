"""From pydantic's errors to the user's words.

The JSON Schema is the map: walking it along an error's location tells which parts of the location are keys
that the user wrote and which are only tags of a union, and what the field allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trempy_provider.config.schema import (
    SchemaNode,
    choices_of,
    describe_allowed,
    resolve,
    task_json_schema,
)
from trempy_provider.config.wording import ROOT_PATH, child_path, show, suggestion
from trempy_provider.errors import FieldProblem

_NOT_ALLOWED = "not an allowed value"
_SECRET_KEY = re.compile("pass|secret|salt|token|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Place:
    """A field: its path, its schema (None for a key that does not exist), and what it is part of."""

    path: str
    node: SchemaNode | None
    parent: SchemaNode | None = None
    union: SchemaNode | None = None
    tag: str | None = None


class ProblemTranslator:
    """Turn validation errors of a ReplicationTask into problems that name fields."""

    def __init__(self) -> None:
        self._root = task_json_schema()

    def problems(self, error: ValidationError) -> list[FieldProblem]:
        """Return one problem for each field, in the order of the fields."""
        found = [problem for details in error.errors() for problem in self._translate(details)]
        return list(dict.fromkeys(found))

    def _translate(self, details: ErrorDetails) -> Iterator[FieldProblem]:
        place = self._locate(details["loc"])
        match details["type"]:
            case "contradictions":
                yield from cast(list[FieldProblem], details["ctx"]["problems"])
            case "refused":
                yield self._refused(place, details)
            case "missing":
                yield FieldProblem(_path_of(place), "is required", allowed=self._allowed(place.node))
            case "extra_forbidden":
                yield self._unknown_key(place, details)
            case "union_tag_invalid" | "union_tag_not_found":
                yield self._unknown_tag(place, details)
            case kind:
                yield self._wrong_value(place, details["input"], is_type_error=kind.endswith("_type"))

    def _locate(self, location: tuple[int | str, ...]) -> _Place:
        place = _Place("", self._root)
        for part in location:
            place = self._step(place, part)
        return place

    def _step(self, place: _Place, part: int | str) -> _Place:
        if place.node is None:
            return _Place(child_path(place.path, part), None)
        node = resolve(place.node, root=self._root)
        if "discriminator" in node:
            chosen = {"$ref": node["discriminator"]["mapping"][part]}
            return _Place(place.path, chosen, place.parent, union=node, tag=str(part))
        inner = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        return _Place(child_path(place.path, part), inner, node, union=place.union, tag=place.tag)

    def _refused(self, place: _Place, details: ErrorDetails) -> FieldProblem:
        context, seen = details["ctx"], details["input"]
        allowed = context["allowed"]
        if context["field"] is None:
            return FieldProblem(
                _path_of(place), context["reason"], show(seen), allowed or self._allowed(place.node)
            )
        value = seen.get(context["field"]) if isinstance(seen, Mapping) else None
        return FieldProblem(
            child_path(place.path, context["field"]),
            context["reason"],
            None if value is None else show(value),
            allowed,
        )

    def _unknown_key(self, place: _Place, details: ErrorDetails) -> FieldProblem:
        keys = _keys_of(place.parent)
        key = str(details["loc"][-1])
        if place.union and self._is_key_of_another(key, place.union):
            name = place.union["discriminator"]["propertyName"]
            message = f"does not belong to the {name} {place.tag}"
        else:
            message = "unknown key" + suggestion(key, keys)
        seen = None if _SECRET_KEY.search(key) else show(details["input"])
        return FieldProblem(place.path, message, seen, ", ".join(keys))

    def _is_key_of_another(self, key: str, union: SchemaNode) -> bool:
        choices = (resolve(choice, root=self._root) for choice in union["oneOf"])
        return any(key in choice["properties"] for choice in choices)

    def _unknown_tag(self, place: _Place, details: ErrorDetails) -> FieldProblem:
        node = resolve(cast(SchemaNode, place.node), root=self._root)
        settings = details["input"]
        if not isinstance(settings, Mapping):
            return self._wrong_value(place, settings, is_type_error=True)
        key = node["discriminator"]["propertyName"]
        path, choices = child_path(place.path, key), choices_of(node)
        if key not in settings:
            return FieldProblem(path, "is required", allowed=", ".join(choices))
        return FieldProblem(
            path, _NOT_ALLOWED + suggestion(settings[key], choices), show(settings[key]), ", ".join(choices)
        )

    def _wrong_value(self, place: _Place, seen: object, *, is_type_error: bool) -> FieldProblem:
        choices = choices_of(resolve(place.node, root=self._root)) if place.node else ()
        message = "wrong type" if is_type_error else _NOT_ALLOWED + suggestion(seen, choices)
        return FieldProblem(_path_of(place), message, show(seen), self._allowed(place.node))

    def _allowed(self, node: SchemaNode | None) -> str | None:
        return describe_allowed(node, root=self._root) if node is not None else None


def _path_of(place: _Place) -> str:
    return place.path or ROOT_PATH


def _keys_of(node: SchemaNode | None) -> tuple[str, ...]:
    # A key that may only be null or empty is there for the sake of leftovers.
    properties = node["properties"].items() if node else ()
    return tuple(key for key, value in properties if None not in value.get("enum", ()))
