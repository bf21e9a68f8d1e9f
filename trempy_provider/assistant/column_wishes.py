"""Columns of one table that a description names as they are called: which to copy, and which to leave out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.assistant import words
from trempy_provider.assistant.catalogue import TableFacts

_ARTICLE = r"(?:the |as? |os? |las? |los |el )?(?:columns? |colunas? |columnas? |fields? |campos? )?"
_AND = r"(?:,? (?:and|e|y|nor|nem|ni) |, )(?:the |as? |os? |las? |los |el )?"
_WITHOUT = r"(?:without|excluding|leaving out|except(?: for)?|sem|exceto|menos|sin|excepto|salvo)"
_ONLY = r"(?:only|just|so|apenas|somente|solo|solamente)"
_END = r"(?= ?(?:[.,;:)]|$))"
_OF = r"(?= (?:of|from|de|da|do|das|dos|del|en|em|in)\b| ?(?:[.;:)]|$))"


@dataclass(frozen=True, slots=True)
class ColumnWishes:
    """Columns, in the order of the text, and the words that name them."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    are_unclear: bool = False  # columns seem to be chosen in other words than these

    def entry(self) -> dict[str, list[str]]:
        """Return the options of the table that say so."""
        options = {"columns": list(self.only), "exclude_columns": list(self.without)}
        return {key: names for key, names in options.items() if names}


def read_columns(text: str, table: TableFacts) -> ColumnWishes:
    """Return what a plain text asks of a table's columns; a choice without the primary key is not read."""
    names = {words.plain(column.name): column.name for column in table.columns}
    key = set(table.primary_key)
    only = _read(text, f"{_ONLY} {_ARTICLE}", names, _OF)
    without = _read(text, f"{_WITHOUT} {_ARTICLE}", names, _END)
    if only is not None and key <= set(only[0]):
        return ColumnWishes(only=only[0], said=(only[1],))
    if without is not None and not key & set(without[0]):
        return ColumnWishes(without=without[0], said=(without[1],))
    unclear = re.search(rf"(?<!\w)(?:{_WITHOUT}|{_ONLY}) (?:\w+ ){{0,2}}(?:{_one_of(names)})(?!\w)", text)
    return ColumnWishes(are_unclear=unclear is not None)


def _read(text: str, lead: str, names: dict[str, str], end: str) -> tuple[tuple[str, ...], str] | None:
    one = _one_of(names)
    pattern = re.compile(rf"(?<!\w){lead}(?P<names>(?:{one})(?:{_AND}(?:{one}))*){end}")
    for found in pattern.finditer(text):
        if not words.is_negated(text, found.start()):
            named = [
                each.strip('"') for each in re.findall(rf"(?<![\w\"])(?:{one})(?![\w\"])", found["names"])
            ]
            return tuple(dict.fromkeys(names[each] for each in named)), found[0]
    return None


def _one_of(names: Iterable[str]) -> str:
    return "|".join(rf'"?{re.escape(name)}"?' for name in sorted(names, key=len, reverse=True))
