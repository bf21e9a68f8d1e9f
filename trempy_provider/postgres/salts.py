"""The salts of `hash`: passwords of connections, which no statement and no log line shows twice.

On the source a salt is a setting of the session, so that neither the statements of a load nor the server's
log of those that fail have it in them.
"""

from __future__ import annotations

from collections.abc import Mapping

from trempy_provider.config.compilation import salt_setting
from trempy_provider.config.masks import salt_connections
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.session import Endpoint, Session, static_sql


def read_salts(task: ReplicationTask, source: Endpoint) -> Mapping[str, str]:
    """Return the salts the task needs, by connection; raise ConfigurationError when there is none."""
    return {conn_id: source.read_salt(conn_id) for conn_id in salt_connections(task)}


def give_salts(session: Session, salts: Mapping[str, str]) -> None:
    """Let a session with the source know the salts until its end."""
    for conn_id, salt in salts.items():
        session.fetch_value(static_sql("set_salt"), {"name": salt_setting(conn_id), "salt": salt})
