"""Why changes are applied one by one, each as an object of its own, and not as arrays."""

from __future__ import annotations

from enum import Enum


class ExactReason(str, Enum):
    """What stood in the way of arrays: the task, the batch, or changes of the table."""

    KEEPS_ORDER = "the target's role may not set session_replication_role"
    VERSIONS = "the mode scd2"
    FEW_CHANGES = "fewer than 50 changes in the batch"
    OTHER_MESSAGES = "a TRUNCATE, or a table that changed its shape, in the batch"
    NOT_ALL_WRITTEN = "a table of the batch is being loaded, or does not take all operations"
    SINGLY = "transactions are applied one by one"  # after a failure, or because one is to be skipped
    NO_KEY = "no key, and not only inserts"
    KEY_CHANGED = "a key has changed"
    KEY_UNFIT = "a key that is NULL, was not sent, or is longer than 128 bytes"
    CONTRADICTION = "changes of a row that contradict each other"
    BINARY = "values in binary form"
    ROW_ERROR = "a row that failed"

    __str__ = str.__str__
