"""Keep secrets out of what is sent to a model, and control characters out of what is shown to a person.

A table's comment or a description may hold anything, a connection string too.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRETS = (
    # a URI with a login, whatever its scheme
    re.compile(r"[a-z][a-z0-9+.\-]*://[^\s/@]*@[^\s'\"<>)\]]*", re.IGNORECASE),
    # a connection URI of a database or a broker without one
    re.compile(r"\b(?:postgres(?:ql)?|amqps?|mysql|redis|mongodb)(?:\+\w+)?://[^\s'\"<>)\]]*", re.IGNORECASE),
    # password=…, "api_key": "…", token: …
    re.compile(
        r"(?P<key>\b[\w-]*(?:passw(?:or)?d|pwd|senha|contrase(?:n|ñ)a|secret|token|api[_-]?key|credential)s?\b"
        r"[\"']?\s*(?:=>|[=:])\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
        re.IGNORECASE,
    ),
    # libpq's key=value form: the host and the login as well
    re.compile(
        r"(?P<key>\b(?:host|hostaddr|user|dbname|sslkey|passfile)\s*=\s*)(?:'[^']*'|[^\s,;]+)", re.IGNORECASE
    ),
    re.compile(r"\b(?:sk|ghp|gho|xox[abp]|AKIA|eyJ)[-_A-Za-z0-9]{16,}\b"),  # keys by their well-known shapes
)


def without_secrets(text: str) -> str:
    """Return the text with connection strings, passwords and keys hidden."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found.groupdict().get('key') or ''}{HIDDEN}", text)
    return text


def printable(text: str) -> str:
    """Return the text with what a terminal would act on written as escapes; lines and blanks stay."""
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
