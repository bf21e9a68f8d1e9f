"""What the advisor reads from a description without a model: tables by their names, and a few plain wishes.

Of the columns of one table it reads those to copy or to leave out; filters and transformations are beyond it,
and it says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from trempy_provider.assistant import words
from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.column_wishes import ColumnWishes, read_columns
from trempy_provider.assistant.schedules import Timing, read_schedule
from trempy_provider.config.tables import WILDCARD
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.tables import QualifiedName


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a description asks for; None where it says nothing."""

    tables: tuple[QualifiedName, ...]
    patterns: tuple[QualifiedName, ...] = ()  # entries with `*`, instead of the tables they stand for
    keeps_history: str | None = None  # the words that say so, as below
    follows_changes: str | None = None
    changes_only: str | None = None
    loads_once: str | None = None
    upserts: str | None = None
    truncates: str | None = None
    stops_on_errors: str | None = None
    follows_schema: str | None = None
    timing: Timing | None = None
    columns: ColumnWishes = field(default_factory=ColumnWishes)  # of the one table, where it is one
    spares_rows: str | None = None  # the words that say not to truncate
    has_more: bool = False  # something the advisor cannot do

    @property
    def is_timed(self) -> bool:
        """Tell whether the description says when to load, or says it in words that give no schedule."""
        return self.timing is not None and bool(self.timing.said)

    @property
    def schedule(self) -> str | None:
        """Return the schedule asked for."""
        return None if self.timing is None else self.timing.schedule


def read_wishes(description: str, catalogue: Catalogue) -> Wishes:
    """Return the wishes; raise ConfigurationError when no table is named that the source has."""
    text = words.plain(description)
    patterns, tables = _mentioned(text, catalogue)
    if not tables:
        known = ", ".join(str(table.name) for table in catalogue.tables[:10])
        raise ConfigurationError(
            "the description names no table of the source",
            hint=f"Name tables as schema.table, or a schema. The source has: {known or 'no table'}.",
        )
    text = _without_names(text, tables)
    columns = _columns(text, tables, catalogue) if not patterns else ColumnWishes()
    return Wishes(
        tables=tables,
        patterns=patterns,
        keeps_history=_said(words.HISTORY, text),
        follows_changes=_said(words.FOLLOW, text),
        changes_only=_said(words.CHANGES_ONLY, text),
        loads_once=_said(words.ONCE, text),
        upserts=_said(words.UPSERT, text),
        truncates=_said(words.TRUNCATE, text),
        stops_on_errors=_said(words.STOP_ON_ERROR, text),
        follows_schema=_said(words.FOLLOW_SCHEMA, text),
        spares_rows=_denied(words.TRUNCATE, text),
        timing=read_schedule(text),
        columns=columns,
        has_more=columns.are_unclear or words.BEYOND.search(_without(text, columns.said)) is not None,
    )


def _without_names(text: str, tables: tuple[QualifiedName, ...]) -> str:
    """Leave the names of tables out: one may be a word of the lexicon."""
    for name in sorted(map(str, tables), key=len, reverse=True):
        text = text.replace(words.plain(name), "…")
    return text


def _columns(text: str, tables: tuple[QualifiedName, ...], catalogue: Catalogue) -> ColumnWishes:
    table = catalogue.find(tables[0]) if len(tables) == 1 else None
    return ColumnWishes() if table is None else read_columns(text, table)


def _without(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        text = text.replace(part, "…")
    return text


def _said(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the words that wish it; "do not truncate" is none."""
    return next((m[0] for m in pattern.finditer(text) if not words.is_negated(text, m.start())), None)


def _denied(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the words that wish for the opposite, where none wish for it."""
    if _said(pattern, text) is not None:
        return None
    return next((words.denial(text, m) for m in pattern.finditer(text)), None)


def _mentioned(
    text: str, catalogue: Catalogue
) -> tuple[tuple[QualifiedName, ...], tuple[QualifiedName, ...]]:
    """Return the patterns asked for, and the tables: both without those that are excepted."""
    parts = words.EXCEPT.split(text, maxsplit=1)
    named = _named(parts[0], catalogue)
    excepted = set(_named(parts[1], catalogue)) if len(parts) > 1 else set()
    if named:
        return (), tuple(name for name in named if name not in excepted)
    schemas = _schemas(parts[0], catalogue)
    if not schemas and words.EVERYTHING.search(parts[0]):
        schemas = catalogue.schema_names
    tables = [table.name for table in catalogue.tables if table.name.schema_name in schemas]
    chosen = tuple(name for name in tables if name not in excepted)
    is_whole = len(chosen) == len(tables) and all(WILDCARD not in schema for schema in schemas)
    return tuple(QualifiedName(schema, WILDCARD) for schema in schemas if is_whole), chosen


def _named(text: str, catalogue: Catalogue) -> list[QualifiedName]:
    """Return the tables named in full, or else those named without their schema, in the text's order."""
    namesakes = Counter(words.plain(table.name.table_name) for table in catalogue.tables)
    schemas = {words.plain(schema) for schema in catalogue.schema_names}
    places: dict[QualifiedName, int] = {}
    for table in catalogue.tables:
        schema, name = words.plain(table.name.schema_name), words.plain(table.name.table_name)
        if name not in text:
            continue
        place = _place((f"{schema}.{name}", f'"{schema}"."{name}"'), text)
        is_clear = namesakes[name] == 1 or _is_meant(schema, text)
        if place is None and is_clear and len(name) > 2 and name not in schemas:
            place = _place((name, f'"{name}"'), text)
        if place is not None:
            places[table.name] = place
    return sorted(places, key=lambda name: (places[name], name))


def _is_meant(schema: str, text: str) -> bool:
    """Tell whether a schema is said to be one; tables of several schemas may have the same name."""
    name = re.escape(schema)
    return re.search(rf"\b(?:schema|esquema) {name}\b|\b{name} (?:schema|esquema)\b", text) is not None


def _place(names: tuple[str, ...], text: str) -> int | None:
    """Return where one of the names stands by itself, no part of another name."""
    for name in names:
        found = re.search(rf'(?<![\w."]){re.escape(name)}(?![\w"]|\.\w)', text)
        if found is not None:
            return found.start()
    return None


def _schemas(text: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the schemas named: `sales.*`, "the schema sales", or the word alone."""
    return tuple(
        schema
        for schema in catalogue.schema_names
        if re.search(rf'(?<![\w."]){re.escape(words.plain(schema))}(?:\.\*)?(?![\w"]|\.\w)', text)
    )
