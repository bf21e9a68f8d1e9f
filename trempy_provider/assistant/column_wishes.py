"""Columns of one table that a description names as they are called: which to copy, and which to leave out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.assistant import words
from trempy_provider.assistant.catalogue import TableFacts

_ARTICLE = r"(?:the |as? |os? |las? |los |el )?(?:columns? |colunas? |columnas? |fields? |campos? )?"
_AND = r"(?:,? (?:and|or|e|ou|y|o|nor|nem|ni|&) |, )(?:the |as? |os? |las? |los |el )?"
_WITHOUT = r"(?:without|excluding|leaving out|except(?: for)?|sem|exceto|menos|sin|excepto|salvo)"
_ONLY = r"(?:only|just|so|apenas|somente|solo|solamente)"
_END = r" ?(?:[.,;:)](?!\w)|$)"
_SHORT = 2  # characters
_ONLY_END = r" ?(?:[.;)](?!\w)|$)"
_OF = r" (?:of|from|de|da|do|das|dos|del) (?:the |an? |as? |os? |las? |el )?(?:tables? |tabelas? |tablas? )?"
_CHOOSING = (  # other words that may choose columns
    r"but(?: not)?|apart from|other than|minus|never|exclusively|exclusivamente|unicamente"
    r"|(?:exclud|omit|skip|ignor|drop|remov|exclu|retir|tir|quit)\w*|leav\w+ out|deix\w+ de fora"
)
# What follows a table's name and says which of its rows are meant.
_ROWS = (
    r" ?(?:[<>=(\d]|(?:from|in|with|whose|where|that|which|who|between|for|by|when|if"
    r"|like|is|are|not|made|\w+ed|\w+ad[oa]s?"
    r"|newer|older|de|da|do|das|dos|del|em|no|na|en|com|con|entre|que|cuj[ao]s?|cuy[ao]s?|onde|donde|por|para"
    r"|quando|cuando|se|si|como)\b)"
)


@dataclass(frozen=True, slots=True)
class ColumnWishes:
    """Columns, in the order of the text, and the words that name them."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    are_unclear: bool = False  # columns seem to be chosen in other words than these


def read_columns(text: str, table: TableFacts) -> ColumnWishes:
    """Return what a plain text asks of a table's columns; a choice without the primary key is not read."""
    names = {words.plain(column.name): column.name for column in table.columns}
    called = re.escape(words.plain(table.name.table_name))
    of_table = rf'{_OF}(?:…|"?{called}"?)(?!\w)(?!{_ROWS})'
    only = _read(text, f"{_ONLY} {_ARTICLE}", names, f"(?={of_table}|{_ONLY_END})")
    not_listed = rf"(?! ?, {_ARTICLE}(?:{_one_of(names)})(?!\w))"
    without = _read(text, f"{_WITHOUT} {_ARTICLE}", names, f"{not_listed}(?={_END})")
    key = set(table.primary_key)
    rest = _rest_of(text, (*only, *without))
    is_clear = not (only and without) and _choosing(names).search(rest) is None
    has_others = _mentions(names, rest)
    if is_clear and not has_others and len(only) == 1 and key and key <= set(only[0][0]):
        return ColumnWishes(only=only[0][0], said=(only[0][1],))
    excluded = tuple(dict.fromkeys(name for columns, _ in without for name in columns))
    if is_clear and excluded and not key & set(excluded):
        return ColumnWishes(without=excluded, said=tuple(said for _, said in without), are_unclear=has_others)
    return ColumnWishes(are_unclear=bool(only or without) or has_others or not is_clear)


def _read(text: str, lead: str, names: dict[str, str], end: str) -> list[tuple[tuple[str, ...], str]]:
    """Return each list of columns behind the lead, and the words of it."""
    one = _one_of(names)
    pattern = re.compile(rf"(?<!\w){lead}(?P<names>(?:{one})(?:{_AND}(?:{one}))*){end}")
    listed = re.compile(rf"(?<![\w\"])(?:{one})(?![\w\"])")
    return [
        (tuple(dict.fromkeys(names[each.strip('"')] for each in listed.findall(found["names"]))), found[0])
        for found in pattern.finditer(text)
        if not words.is_negated(text, found.start())
    ]


def _rest_of(text: str, read: Iterable[tuple[tuple[str, ...], str]]) -> str:
    """Return the text without what was read."""
    for _, said in read:
        text = text.replace(said, "…")
    return text


def _choosing(names: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of words that seem to choose columns."""
    lead = rf"(?:{_WITHOUT}|{_ONLY}|{_CHOOSING})"
    return re.compile(rf"(?<!\w){lead} (?:\w+ ){{0,2}}(?:{_one_of(names)})(?!\w)")


def _mentions(names: Iterable[str], text: str) -> bool:
    """Tell whether a column is named; names such as "at" are words of any text."""
    longer = [name for name in names if len(name) > _SHORT]
    return bool(longer) and re.search(rf"(?<!\w)(?:{_one_of(longer)})(?!\w)", text) is not None


def _one_of(names: Iterable[str]) -> str:
    return "|".join(rf'"?{re.escape(name)}"?' for name in sorted(names, key=len, reverse=True))
