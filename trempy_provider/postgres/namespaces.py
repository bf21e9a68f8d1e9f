"""Schemas on the target."""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.postgres.session import Session, static_sql


def schema_exists(session: Session, name: str) -> bool:
    """Tell whether the schema exists."""
    return bool(session.fetch_value(static_sql("has_schema"), {"name": name}))


def ensure_schema(session: Session, name: str) -> bool:
    """Create the schema unless it exists; return whether it was created.

    CREATE SCHEMA IF NOT EXISTS asks for CREATE on the database even when there is nothing to create.
    """
    if schema_exists(session, name):
        return False
    session.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(name)))
    return True
