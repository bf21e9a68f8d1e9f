"""A reason for each setting of a model's draft: its own, the advisor's where they agree, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trempy_provider.assistant.draft import Draft, Frame, Reason

KEPT = "kept from the present settings"
NO_REASON = "the model gave no reason"
_TABLE = re.compile(r"tables\[(\d+)\](?:\.(.+))?")
_ENTRY = re.compile(r"(\w+)\[(\d+)\]")
_NAME = ("schema_name", "table_name")


def complete_reasons(
    settings: Mapping[str, Any], reasons: Sequence[Reason], *, advice: Draft | None, frame: Frame
) -> tuple[Reason, ...]:
    """Return the reasons, and one for each setting without; what a person has decided needs none."""
    decided = {f"task.{key}" for key in frame.fixed}
    missing = (
        path for path in chosen_paths(settings) if path not in decided and reason_for(path, reasons) is None
    )
    return (*reasons, *(Reason(path, _why(path, settings, advice, frame)) for path in missing))


def chosen_paths(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of what settings decide: options of the task, tables and their options, entries."""
    for key, value in settings.items():
        if key == "task":
            yield from _leaves(value, "task")
        elif isinstance(value, list | tuple):
            for i, entry in enumerate(value):
                yield f"{key}[{i}]"
                yield from (f"{key}[{i}].{option}" for option in _options(key, entry))
        else:
            yield key


def reason_for(path: str, reasons: Iterable[Reason]) -> Reason | None:
    """Return the reason of a path: of itself, of what it belongs to, or of a part of an entry."""
    return next((reason for reason in reasons if _covers(reason.path, path)), None)


def _covers(given: str, path: str) -> bool:
    given = given.removeprefix("settings.")
    if given in ("", "task"):
        return False
    if given == path or re.sub(r"\[\d+\]", "[]", path) == given:
        return True
    is_option = re.search(r"\]\.", path) is not None
    if path.startswith((f"{given}.", f"{given}[")):
        return not is_option or "]" in given
    return path.endswith("]") and given.startswith(f"{path}.")


def _leaves(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield path
        return
    for key, entry in value.items():
        yield from _leaves(entry, f"{path}.{key}")


def _options(key: str, entry: Any) -> list[str]:
    if key != "tables" or not isinstance(entry, Mapping):
        return []
    return [option for option in entry if option not in _NAME]


def _why(path: str, settings: Mapping[str, Any], advice: Draft | None, frame: Frame) -> str:
    value = _value_at(path, settings, settings)
    if frame.present is not None and _value_at(path, frame.present, settings) == value:
        return KEPT
    if advice is not None and _value_at(path, advice.settings, settings) == value:
        reason = reason_for(path, advice.reasons)
        if reason is not None:
            return f"{reason.text} (the advisor)"
    return NO_REASON


def _value_at(path: str, settings: Mapping[str, Any], drafted: Mapping[str, Any]) -> Any:
    """Return the value that settings have for a path of the draft; tables are found by their names."""
    if table := _TABLE.fullmatch(path):
        name = _name_of(drafted["tables"][int(table[1])])
        found = next((each for each in settings.get("tables", ()) if _name_of(each) == name), None)
        if found is None or table[2] is None:
            return None if found is None else name
        return found.get(table[2])
    if entry := _ENTRY.fullmatch(path):
        value = drafted[entry[1]][int(entry[2])]
        return value if value in settings.get(entry[1], ()) else None
    value = settings
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _name_of(entry: Any) -> Any:
    return tuple(entry.get(key) for key in _NAME) if isinstance(entry, Mapping) else entry
