"""What all tables and streams of one full load have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Literal, compose
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.salts import give_salts, read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.text_collation import BYTEWISE


@dataclass(frozen=True, slots=True)
class LoadContext:
    """The open things of a full load, and what tells it from any other load of the same tables."""

    task: ReplicationTask
    source: Endpoint
    target: Endpoint
    stop: StopSignal
    started_at: datetime  # by the target's clock, as in table_states
    text_collation: str = BYTEWISE

    def open_source(self) -> Session:
        """Open a session with the source that knows the salts of masks."""
        session = self.source.connect("full_load")
        give_salts(session, read_salts(self.task, self.source))
        return session

    @property
    def compile_context(self) -> CompileContext:
        """Return what expressions are compiled with; their moment is the start of the load."""
        moment = compose("{moment}::timestamptz", moment=Literal(self.started_at.isoformat()))
        return CompileContext(collation=self.text_collation, moment=moment)
