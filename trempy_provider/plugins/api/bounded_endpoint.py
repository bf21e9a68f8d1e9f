"""Databases of which somebody waits for an answer: no statement takes longer than a person's patience."""

from __future__ import annotations

from trempy_provider.postgres.session import Endpoint, Session, static_sql

STATEMENT_SECONDS = 20.0


class BoundedEndpoint(Endpoint):
    """Another endpoint's database, whose statements end after `statement_seconds`."""

    def __init__(self, endpoint: Endpoint, *, statement_seconds: float = STATEMENT_SECONDS) -> None:
        metadata = endpoint.metadata
        super().__init__(
            endpoint.parameters,
            task_name=endpoint.task_name,
            role=endpoint.role,
            read_salt=endpoint.read_salt,
            metadata=None if metadata is endpoint else BoundedEndpoint(metadata),
        )
        self._milliseconds = int(statement_seconds * 1000)

    def connect(self, job: str) -> Session:
        """Open a session whose statements end in time; raise SourceError or TargetError subclasses."""
        session = super().connect(job)
        session.execute(static_sql("set_statement_timeout"), {"milliseconds": self._milliseconds})
        return session
