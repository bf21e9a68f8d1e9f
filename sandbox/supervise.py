"""Run a command and fail if it leaves a process behind.

`python3 -m sandbox.supervise COMMAND…` becomes the subreaper of everything below it (prctl(2)).
A process whose parent ends becomes our child, in whatever session: nothing started below gets out of sight.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox.processes import descendants, end_processes, read_processes

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE_SECONDS = 5  # for what is ending already
LEFT_BEHIND = 70  # the exit code when the command itself succeeded; EX_SOFTWARE in sysexits.h


def main(command: Sequence[str]) -> int:
    """Run `command`; return its exit code, or LEFT_BEHIND if it left processes."""
    _become_subreaper()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: os.kill(child.pid, received))
    exit_code = _wait_for(child.pid)
    left = _left_behind()
    for pid in sorted(left):
        print(f"left behind: {pid} {_command_line(pid)}", file=sys.stderr)
    end_processes(lambda: left | descendants({os.getpid()}, read_processes()))
    return exit_code or (LEFT_BEHIND if left else 0)


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def _wait_for(child_pid: int) -> int:
    """Reap whatever ends, until `child_pid` does; return its exit code as a shell would give it."""
    while True:
        pid, status = os.wait()
        if pid == child_pid:
            exit_code = os.waitstatus_to_exitcode(status)
            return exit_code if exit_code >= 0 else 128 - exit_code


def _left_behind() -> set[int]:
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := descendants({os.getpid()}, read_processes())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return "(gone)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
