"""The strftime codes of `format_date` that PostgreSQL's to_char can write (manual 9.8), and their patterns.

Left out are the codes that follow a locale (`%c`, `%x`, `%X`), time zones (a timestamp has none) and the ones
that to_char counts otherwise or not at all (`%U`, `%W`, `%w`, `%C`, `%e`, `%k`, `%l`, `%s`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

TO_CHAR_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "%Y": "YYYY",
        "%y": "YY",
        "%m": "MM",
        "%-m": "FMMM",
        "%B": "FMMonth",
        "%b": "Mon",
        "%h": "Mon",
        "%d": "DD",
        "%-d": "FMDD",
        "%j": "DDD",
        "%-j": "FMDDD",
        "%A": "FMDay",
        "%a": "Dy",
        "%u": "ID",
        "%G": "IYYY",
        "%g": "IY",
        "%V": "IW",
        "%H": "HH24",
        "%-H": "FMHH24",
        "%I": "HH12",
        "%-I": "FMHH12",
        "%M": "MI",
        "%-M": "FMMI",
        "%S": "SS",
        "%-S": "FMSS",
        "%f": "US",
        "%3f": "MS",
        "%6f": "US",
        "%.3f": ".MS",
        "%.6f": ".US",
        "%p": "AM",
        "%P": "am",
        "%F": "YYYY-MM-DD",
        "%D": "MM/DD/YY",
        "%T": "HH24:MI:SS",
        "%R": "HH24:MI",
    }
)
LITERAL_CODES: Mapping[str, str] = MappingProxyType({"%%": "%", "%n": "\n", "%t": "\t"})

_PART = re.compile(r"%(?:-?[A-Za-z]|\.?[0-9]f|.|$)|[^%]+", re.DOTALL)


class DateFormatError(ValueError):
    """The text is not a format that to_char can write."""


@dataclass(frozen=True, slots=True)
class DateFormatPart:
    """A piece of a format: a to_char pattern, or text that stands for itself."""

    text: str
    is_pattern: bool


def parse_date_format(text: str) -> tuple[DateFormatPart, ...]:
    """Return the parts of a strftime format in order; raise DateFormatError for a code to_char lacks."""
    parts = tuple(_part(match) for match in _PART.findall(text))
    if not any(part.is_pattern for part in parts):
        raise DateFormatError("has no format code, so every date would become the same text")
    return parts


def to_char_format(parts: Iterable[DateFormatPart]) -> str:
    """Return the format for to_char; text is quoted, and an empty text keeps patterns apart."""
    return '""'.join(part.text if part.is_pattern else _quoted(part.text) for part in parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _part(piece: str) -> DateFormatPart:
    if not piece.startswith("%"):
        return DateFormatPart(piece, is_pattern=False)
    if piece in LITERAL_CODES:
        return DateFormatPart(LITERAL_CODES[piece], is_pattern=False)
    if piece not in TO_CHAR_PATTERNS:
        raise DateFormatError(f"has the code `{piece}`, which PostgreSQL cannot write")
    return DateFormatPart(TO_CHAR_PATTERNS[piece], is_pattern=True)
