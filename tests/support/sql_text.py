"""Render composed SQL without a connection, as psycopg2 renders it with one."""

from __future__ import annotations

from psycopg2 import extensions, sql


def sql_text(query: sql.Composable) -> str:
    """Return the text of a statement."""
    if isinstance(query, sql.Composed):
        return "".join(map(sql_text, query.seq))
    if isinstance(query, sql.Identifier):
        return ".".join('"' + name.replace('"', '""') + '"' for name in query.strings)
    if isinstance(query, sql.SQL):
        return query.string
    assert isinstance(query, sql.Literal)
    return _literal_text(query.wrapped)


def _literal_text(value: object) -> str:
    adapted = extensions.adapt(value)
    if isinstance(value, str):
        adapted.encoding = "utf-8"
    text = adapted.getquoted()
    return text.decode() if isinstance(text, bytes) else text
