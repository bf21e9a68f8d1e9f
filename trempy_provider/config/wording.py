"""How errors name fields and values: `tables[2].priority`, shortened JSON, did-you-mean."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable

ROOT_PATH = "settings"
SEEN_MAX_LENGTH = 60
LISTED_MAX_COUNT = 10

_PLAIN_KEY = re.compile(r"[$\w-]+")


def child_path(path: str, part: str | int) -> str:
    """Return the path of an entry or key below `path`."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if not _PLAIN_KEY.fullmatch(part) or len(part) > SEEN_MAX_LENGTH:
        return f"{path}[{show(part)}]"
    return f"{path}.{part}" if path else part


def show(value: object) -> str:
    """Return the value as JSON, shortened to one short line that any terminal can print."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    printable = text.encode("utf-8", "backslashreplace").decode()
    return printable if len(printable) <= SEEN_MAX_LENGTH else printable[: SEEN_MAX_LENGTH - 1] + "…"


def suggestion(word: object, words: Collection[str], *, similarity: float = 0.6) -> str:
    """Return what to append to a message: the word that was probably meant, or nothing."""
    text = str(word)
    close = difflib.get_close_matches(text, words, n=1, cutoff=similarity)
    begun = [candidate for candidate in words if len(text) > 2 and candidate.startswith(text)]
    return f", did you mean {(close or begun)[0]}?" if close or begun else ""


def listing(names: Iterable[str]) -> str:
    """Return the names as a list, the first of them if there are many."""
    listed = list(names)
    more = " …" if len(listed) > LISTED_MAX_COUNT else ""
    return ", ".join(listed[:LISTED_MAX_COUNT]) + more
