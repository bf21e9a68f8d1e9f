"""Which part of every message a process of apply has to do with, made sure of under the checkpoint's lock."""

from __future__ import annotations

from trempy_provider.errors import LaneError
from trempy_provider.postgres.checkpoints import Checkpoint
from trempy_provider.postgres.lanes import part_of_lane, read_lanes
from trempy_provider.postgres.session import Session
from trempy_provider.replication.lane_part import LanePart


class LaneGuard:
    """The part of a session's lane, None for an apply that works alone."""

    def __init__(self, session: Session, task_name: str) -> None:
        self._session = session
        self._task_name = task_name
        self._version: int | None = None
        self.part = self._read_part()

    def verify(self, part: LanePart | None, checkpoint: Checkpoint) -> None:
        """Make sure that a message was read for the tables that the lane still has.

        An apply that works alone makes sure that no later one works in lanes.
        Raise LaneError; a message that is read anew then has the part of now.
        """
        if checkpoint.states_version == self._version:
            return
        if self._session.lane is None and read_lanes(self._session, self._task_name):
            raise LaneError(f"task {self._task_name} is applied in lanes by another process now")
        self.part, self._version = self._read_part(), checkpoint.states_version
        if self.part != part:
            raise LaneError(f"task {self._task_name}: lane {self._session.lane} has other tables now")

    def _read_part(self) -> LanePart | None:
        lane = self._session.lane
        return None if lane is None else part_of_lane(self._session, self._task_name, lane)
