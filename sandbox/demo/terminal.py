"""What the demo says while it works: one calm line per step, with the time since the start."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LOG_LINES = 20


class StepError(RuntimeError):
    """A step of the demo failed; the terminal has said which, why and where the log is."""


class Terminal:
    """A stream for people; several threads may have a step under way at once.

    A line that changes in place is shown only on a real terminal.
    """

    def __init__(self, stream: TextIO = sys.stdout):
        self._stream = stream
        self._lock = threading.RLock()
        self._started = time.monotonic()
        self._passing = ""
        self._has_failed = False

    def ignore_failures(self) -> None:
        """Report no failure from now on: everything is being ended."""
        self._has_failed = True

    def say(self, text: str = "") -> None:
        """Print lines that stay."""
        with self._lock:
            self._erase()
            print(text, file=self._stream, flush=True)

    def report(self, mark: str, text: str) -> None:
        """Print a line with the elapsed time."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        self.say(f"{minutes:3}:{seconds:02}  {mark} {text}")

    def show(self, text: str) -> None:
        """Show what goes on in a line that the next one replaces."""
        if self._stream.isatty():
            with self._lock:
                self._erase()
                self._passing = f"        {text}"[:110]
                print(self._passing, end="", file=self._stream, flush=True)

    @contextmanager
    def step(self, title: str, *, logs: Sequence[Path] = ()) -> Iterator["Step"]:
        """Report how the block ends: if it raises, with the ends of its logs, and as a StepError."""
        step = Step(self, title)
        self.show(f"{title} …")
        try:
            yield step
        except StepError:
            raise
        except Exception as error:
            self._report_failure(title, error, logs)
            raise StepError(f"{title} failed: {error}") from error
        self.report("✓", step.summary())

    def _report_failure(self, title: str, error: Exception, logs: Sequence[Path]) -> None:
        with self._lock:
            if self._has_failed:  # the others fail because everything is being ended
                return
            self._has_failed = True
            self.report("✗", f"{title} failed: {error}")
            for log in logs:
                if tail := _indented_tail(log):
                    self.say(f"\nThe end of {log}:\n{tail}")

    def _erase(self) -> None:
        if self._passing:
            print("\r" + " " * len(self._passing) + "\r", end="", file=self._stream)
            self._passing = ""


class Step:
    """A step under way."""

    def __init__(self, terminal: Terminal, title: str):
        self._terminal = terminal
        self._title = title
        self._details = ""
        self._started = time.monotonic()

    def show(self, text: str) -> None:
        """Show how far it is."""
        self._terminal.show(f"{self._title}: {text}")

    def conclude(self, details: str) -> None:
        """Set what is said beside the title at the end."""
        self._details = details

    def summary(self) -> str:
        """Return the line that stays."""
        seconds = time.monotonic() - self._started
        return f"{self._title}{': ' if self._details else ''}{self._details} ({seconds:.1f} s)"


def _indented_tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    except OSError as error:
        return f"    {error}"
    return "\n".join(f"    {line}" for line in lines)
