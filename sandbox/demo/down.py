"""Remove the demo: end its processes, remove its container and its files.

    python3 -m sandbox.demo.down

Standard library only.
"""

import sys

from sandbox.demo.broker import remove_container
from sandbox.demo.state import STATE_DIRECTORY, DemoState, read_state
from sandbox.processes import end_processes

CLEAN_UP_SECONDS = 40


def main() -> int:
    """Remove the demo that the state file describes, the command that is starting it included."""
    state = read_state()
    if state is None:
        print(f"No demo is up: {STATE_DIRECTORY} holds no state.")
        return 0
    end_command(state)
    remove(state)
    print("The demo is gone: its processes have ended and its files are removed.")
    return 0


def remove(state: DemoState) -> None:
    """End what runs and remove what is stored; doing it twice is no error."""
    end(state)
    state.remove_files()


def end(state: DemoState) -> None:
    """End what runs, and remove the container; doing it twice is no error."""
    state.end_servers()
    remove_container(state.container)


def end_command(state: DemoState) -> None:
    """End a `make demo` that is still at work: it cleans up itself, and is killed if that takes long."""
    if state.demo_is_running():
        end_processes(lambda: {state.demo_pid}, grace_seconds=CLEAN_UP_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
