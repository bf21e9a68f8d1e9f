"""The collation that letters and the order of text follow, on both sides of a task.

The source evaluates filters and transformations in a full load, the target in apply: both must have it.
It is chosen once, at setup, and kept in the task's row.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.errors import TrempyError
from trempy_provider.postgres.session import Session

BYTEWISE = "C"
# ICU's root collation; PostgreSQL's own for UTF-8, from 17 on. ICU is a choice made when a server is built.
_PREFERRED = ("und-x-icu", "pg_c_utf8")


def choose_text_collation(source: Session, target: Session) -> str:
    """Return the best collation that both sides have; `C`, which knows only A to Z, is everywhere."""
    for name in _PREFERRED:
        if _has_collation(source, name) and _has_collation(target, name):
            return name
    return BYTEWISE


def _has_collation(session: Session, name: str) -> bool:
    """Tell whether a collation works in this database, with its encoding."""
    probe = sql.SQL("select upper('a' collate {})").format(sql.Identifier("pg_catalog", name))
    try:
        session.fetch_value(probe)
    except TrempyError:
        return False
    return True
