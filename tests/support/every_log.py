"""Collect what is logged by anybody, at every level."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_logs() -> Iterator[io.StringIO]:
    """Collect the records of all loggers, with their tracebacks; levels and handlers are put back."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    loggers = [logging.root, *known]
    levels = [(logger, logger.level, logger.disabled) for logger in loggers]
    listening = [logger for logger in loggers if logger is logging.root or not logger.propagate]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    for logger in listening:
        logger.addHandler(handler)
    try:
        yield stream
    finally:
        for logger in listening:
            logger.removeHandler(handler)
        for logger, level, is_disabled in levels:
            logger.setLevel(level)
            logger.disabled = is_disabled
