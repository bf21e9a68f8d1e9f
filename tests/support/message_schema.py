"""Whether a JSON message is what its published schema says, and nothing else."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from trempy_provider.replication.wire_json import json_schema


def assert_matches_schema(body: bytes) -> None:
    """Fail for a message that the schema refuses, and for a field that it does not describe."""
    _validator().validate(json.loads(body))


@cache
def _validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema), format_checker=FormatChecker())


def _closed(schema: Any) -> Any:
    """Return the schema with every object that has described fields closed to others."""
    if isinstance(schema, list):
        return list(map(_closed, schema))
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed
