"""Keep of the present settings what a description says nothing of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from trempy_provider.assistant.draft import ORIGIN
from trempy_provider.config.loader import load_task
from trempy_provider.config.tables import WILDCARD, TableReference
from trempy_provider.errors import FieldProblem, SettingsError

_LISTS = ("filters", "transformations")
_ENTRY = re.compile(rf"(?P<part>{'|'.join(_LISTS)})\[(?P<index>\d+)\]")
_OPTIONS_OF = {"full_load": "cdc_settings", "cdc": "full_load_settings"}  # without effect in the other type


def keep_present(
    settings: Mapping[str, Any], present: Mapping[str, Any], *, drops: Collection[str] = ()
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the drafted settings with the present ones beside them, and the paths of what was kept.

    Options that the draft sets stand. Tables are the draft's, with the options that they have at present;
    filters and transformations are kept where they are about one of its tables. `drops` are options of
    tables that the draft decides anew.
    """
    kept: list[str] = []
    rest = {key: value for key, value in present.items() if key not in ("tables", *_LISTS)}
    unused = _OPTIONS_OF.get(settings["task"].get("replication_type", ""))
    rest["task"] = {key: value for key, value in rest.get("task", {}).items() if key != unused}
    merged = _merged(settings, rest, "", kept)
    former = [_without(entry, drops) for entry in present.get("tables", ())]
    tables = [
        _with_options(entry, former, f"tables[{i}]", kept) for i, entry in enumerate(settings["tables"])
    ]
    named = [_key(entry) for entry in tables]
    covered = [each for each in former if _key(each) not in named and _is_covered(each, tables)]
    merged["tables"] = [*map(dict, covered), *tables]
    for part in _LISTS:
        entries = [each for each in present.get(part, ()) if _is_about(each["table_info"], merged["tables"])]
        known = [_target(each) for each in entries]
        both = [*entries, *(each for each in settings.get(part, ()) if _target(each) not in known)]
        merged |= {part: both} if both else {}
        kept += [part] if entries else []
    return merged, tuple(kept)


def drop_faulty(settings: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[FieldProblem, ...]]:
    """Return settings without filters and transformations that do not validate, and what is wrong with these.

    Raise SettingsError where anything else does not validate.
    """
    left = dict(settings)
    try:
        load_task(left, origin=ORIGIN)
    except SettingsError as error:
        found = [(_ENTRY.match(problem.path), problem) for problem in error.problems]
        faulty = {(place["part"], int(place["index"])) for place, _ in found if place}
        if not faulty:
            raise
        for part in {part for part, _ in faulty}:
            left[part] = [each for i, each in enumerate(left[part]) if (part, i) not in faulty]
        left, others = drop_faulty(left)
        return left, (*(problem for place, problem in found if place), *others)
    return left, ()


def options_at_present(entry: Mapping[str, Any], present: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options that a table has in the present settings, by its name or else by a pattern."""
    return next(iter(_selections_of(entry, present.get("tables", ()))), {})


def _merged(
    drafted: Mapping[str, Any], present: Mapping[str, Any], path: str, kept: list[str]
) -> dict[str, Any]:
    merged = dict(drafted)
    for key, value in present.items():
        where = f"{path}.{key}" if path else key
        if key not in drafted:
            merged[key] = value
            kept.append(where)
        elif isinstance(value, Mapping) and isinstance(drafted[key], Mapping):
            merged[key] = _merged(drafted[key], value, where, kept)
    return merged


def _with_options(
    entry: Mapping[str, Any], former: Iterable[Mapping[str, Any]], path: str, kept: list[str]
) -> dict[str, Any]:
    """Return a table with the options that it has at present, by its name or else by a pattern."""
    found = _selections_of(entry, former)
    options = {k: v for k, v in found[0].items() if k not in ("schema_name", "table_name")} if found else {}
    kept += [f"{path}.{key}" for key in options]
    left = {k: v for k, v in entry.items() if not (k == "exclude_columns" and options.get("columns"))}
    return {**left, **options}


def _selections_of(entry: Mapping[str, Any], former: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(
        (each for each in former if _key(each) == _key(entry) or _is_covered(entry, [each])),
        key=lambda each: _key(each) != _key(entry),
    )


def _without(entry: Mapping[str, Any], keys: Collection[str]) -> Mapping[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}


def _key(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["schema_name"], entry["table_name"]


def _reference(entry: Mapping[str, Any]) -> TableReference:
    schema, table = _key(entry)
    return TableReference(schema_name=schema, table_name=table)


def _is_covered(entry: Mapping[str, Any], patterns: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether a table named in full is one that a pattern stands for."""
    if WILDCARD in "".join(_key(entry)):
        return False
    return any(_reference(each).matches(*_key(entry)) for each in patterns)


def _is_about(table: Mapping[str, Any], tables: Iterable[Mapping[str, Any]]) -> bool:
    return any(_reference(table).overlaps(_reference(each)) for each in tables)


def _target(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an entry is about; two of one target would be the same mask twice."""
    contract = entry["settings"].get("contract", {})
    return (*_key(entry["table_info"]), contract.get("operation"), contract.get("column_name"))
