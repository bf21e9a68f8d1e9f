"""The settings reference of the README, written from the classes themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from trempy_provider.config.fields import NAME_WORDS, SettingsModel
from trempy_provider.config.filters import OPERAND_KEYS, FilterSettings
from trempy_provider.config.monitoring import MonitorOptions
from trempy_provider.config.operations import ColumnOperation, ValueOperation
from trempy_provider.config.options import (
    CdcOptions,
    ErrorHandling,
    FullLoadOptions,
    Scd2Options,
    StatisticsOptions,
    TaskOptions,
    ValidationOptions,
)
from trempy_provider.config.schema import SchemaNode, describe_allowed, resolve, task_json_schema
from trempy_provider.config.tables import TableReference, TableSelection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import CreateColumn, ModifyColumnValue, TransformationSettings

_SECTIONS: tuple[tuple[str, type[SettingsModel]], ...] = (
    ("The whole file", ReplicationTask),
    ("`task`", TaskOptions),
    ("`task.full_load_settings`", FullLoadOptions),
    ("`task.cdc_settings`", CdcOptions),
    ("`task.cdc_settings.scd2_settings`", Scd2Options),
    ("`task.validation_settings`", ValidationOptions),
    ("`task.monitor_settings`", MonitorOptions),
    ("`task.statistics_settings`", StatisticsOptions),
    ("`error_handling`", ErrorHandling),
    ("`tables[]`", TableSelection),
    ("`filters[].table_info` and `transformations[].table_info`", TableReference),
)
_SHARED_KEYS = ("description", "priority", "contract", "filter_type", "transformation_type", "operation")


def settings_reference_markdown() -> str:
    """Return the reference as Markdown: a table of keys for each object, then filters and transformations."""
    schema = task_json_schema()
    sections = [_section(title, _fields_table(model, root=schema)) for title, model in _SECTIONS]
    sections.append(_section("`filters[].settings`", _filters_table(schema)))
    sections.append(_section("`transformations[].settings`", _transformations_table(schema)))
    return "\n".join(sections)


def _section(title: str, table: str) -> str:
    return f"#### {title}\n\n{table}"


def _table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _fields_table(model: type[SettingsModel], *, root: SchemaNode) -> str:
    properties = _properties(model, root=root)
    rows = (
        [f"`{key}`", _values(node, root=root), _default(node), node["description"]]
        for key, node in properties.items()
    )
    return _table(["key", "values", "default", "meaning"], rows)


def _filters_table(root: SchemaNode) -> str:
    rows = (
        [f"`{_tag(model)}`", _needs(model, root=root, among=OPERAND_KEYS), _first_line(model)]
        for model in _members(FilterSettings)
    )
    return "Every filter has a `column_name` and, if you like, a `description`.\n\n" + _table(
        ["`filter_type`", "needs", "meaning"], rows
    )


def _transformations_table(root: SchemaNode) -> str:
    rows = (
        [f"`{kind}`", operation, _needs(contract, root=root), meaning]
        for kind, operation, contract, meaning in _contracts()
    )
    return (
        "Every transformation has a `contract` and, if you like, a `description` and a `priority` "
        "from 0 (first) to 4 (last), 2 unless given.\n\n"
        + _table(["`transformation_type`", "`operation`", "the rest of the `contract`", "meaning"], rows)
    )


def _contracts() -> Iterator[tuple[str, str, type[SettingsModel], str]]:
    operations: Mapping[Any, Any] = {ModifyColumnValue: ValueOperation, CreateColumn: ColumnOperation}
    for model in _members(TransformationSettings):
        if model in operations:
            for contract in _members(operations[model]):
                yield _tag(model), f"`{_tag(contract)}`", contract, _first_line(contract)
        else:
            only: Any = model.model_fields["contract"].annotation
            yield _tag(model), "—", only, _first_line(model)


def _members(union: Any) -> tuple[type[SettingsModel], ...]:
    return get_args(get_args(union)[0])


def _tag(model: type[SettingsModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _needs(model: type[SettingsModel], *, root: SchemaNode, among: Sequence[str] = ()) -> str:
    keys = [field.alias or name for name, field in model.model_fields.items()]
    wanted = [key for key in keys if (key in among if among else key not in _SHARED_KEYS)]
    properties = _properties(model, root=root)
    return "; ".join(_need(key, properties[key], root=root) for key in wanted) or "—"


def _need(key: str, node: SchemaNode, *, root: SchemaNode) -> str:
    default = f" ({_default(node)} unless given)" if "default" in node else ""
    values = _values(node, root=root)
    return f"`{key}`{default}" if values == NAME_WORDS else f"`{key}`: {values}{default}"


def _values(node: SchemaNode, *, root: SchemaNode) -> str:
    inner = resolve(node, root=root)
    if inner.get("type") == "object":
        return "an object, see below"
    if inner.get("type") == "array" and resolve(inner["items"], root=root).get("type") == "object":
        return "a list of objects, see below"
    return describe_allowed(node, root=root)


def _default(node: SchemaNode) -> str:
    if "default" not in node:
        return "required"
    default = node["default"]
    return "—" if isinstance(default, dict) else f"`{json.dumps(default, ensure_ascii=False)}`"


def _properties(model: type[SettingsModel], *, root: SchemaNode) -> Mapping[str, SchemaNode]:
    if model is ReplicationTask:
        whole: Mapping[str, SchemaNode] = root["properties"]
        return whole
    properties: Mapping[str, SchemaNode] = root["$defs"][model.__name__]["properties"]
    return properties


def _first_line(model: type[SettingsModel]) -> str:
    return (model.__doc__ or "").partition("\n")[0]
