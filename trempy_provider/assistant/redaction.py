"""Keep secrets out of what is sent to a model, and control characters out of what is shown to a person.

A table's comment or a description may hold anything, a connection string too.
"""

from __future__ import annotations

import re

HIDDEN = "[hidden]"  # unlike the text that the operation redact writes
_VALUE = r"(?:\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|[^\s,;&]+)"
_NO_VALUE = (  # what follows "the password is" in a plain sentence
    r"(?!(?:an?|the|to|not|null|never|always|also|in|on|of|for|empty|optional|required|stored|kept|copied"
    r"|\w{0,20}(?:hash|mask|hid|encrypt|redact|salt|oculta|cifra|cript|mascara)\w*)\b)"
)
# Every gap and every run before the word that decides has a bound: the time is linear in the text's length.
_SECRETS = (
    # a URI with a login, whatever its scheme
    re.compile(r"[a-z][a-z0-9+.\-]{0,30}://[^\s@]{1,500}@[^\s'\"<>)\]]*", re.IGNORECASE),
    # a connection URI of a database or a broker without one
    re.compile(
        r"\b(?:postgres(?:ql)?|amqps?|mysql|redis|mongodb)(?:\+\w{1,30})?://[^\s'\"<>)\]]*", re.IGNORECASE
    ),
    re.compile(r"(?P<key>\bauthorization[\"']?\s{0,20}[=:]\s{0,20})[^\n,;]+", re.IGNORECASE),
    re.compile(r"(?P<key>\bbearer\s{1,20})(?:(?=[^\s\d]{0,200}\d)[^\s,;]{6,}|[^\s,;]{20,})", re.IGNORECASE),
    # password=…, "api_key": "…", password_erp => …, token: …
    re.compile(
        r"(?P<key>(?:(?:passw(?:or)?d|passphrase|pwd|senha|contrase(?:n|ñ)a|secret|credential|api[_-]?key"
        r"|(?:access|private|account)[_-]?key)[\w-]{0,60}|tokens?\b|token_(?!count|type)[\w-]{0,60}"
        r"|(?<![a-z])pass\b)"
        rf"[\"']?\s{{0,20}}(?:=>|:=|[=:])\s{{0,20}}){_VALUE}",
        re.IGNORECASE,
    ),
    # the password is …
    re.compile(
        r"(?P<key>(?:passw(?:or)?d|passphrase|senha|contrase(?:n|ñ)a|secret|token|api[ _-]?key)\s{1,20}"
        rf"(?:is|é|es)\s{{1,20}}){_NO_VALUE}{_VALUE}",
        re.IGNORECASE,
    ),
    # libpq's key=value form: the host and the login as well
    re.compile(
        rf"(?P<key>\b(?:host|hostaddr|user|dbname|sslkey|passfile)\s{{0,20}}=\s{{0,20}}){_VALUE}",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?:sk|ghp|gho|xox[abp]|AKIA|eyJ)[-_.A-Za-z0-9]{16,}"),  # keys by their well-known shapes
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
