"""Run the demo: `make demo`, `make demo DEMO_ONCE=1`, `docker compose up`.

Ctrl-C at any point ends and removes everything that was started.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType

from sandbox.demo.compose import connect_stack
from sandbox.demo.down import remove
from sandbox.demo.scenario import Options, reopen, replicate, show_outcome
from sandbox.demo.shopkeeper import Shopkeeper
from sandbox.demo.stack import LocalStack, Stack
from sandbox.demo.state import read_state
from sandbox.demo.terminal import StepError, Terminal
from sandbox.demo.traffic import RATE

SECONDS = 60.0
DONE, FAILED, INTERRUPTED = 0, 1, 130
INTRODUCTION = """
A live shop is copied and then followed: PostgreSQL → Airflow and RabbitMQ → PostgreSQL.
Ctrl-C ends and removes everything.
"""
HOW_TO_GO_ON = """
  Look around: in Airflow the grids of trempy_shop_full_load and trempy_shop_cdc, and the settings in the
  Variable trempy_task_shop; in RabbitMQ the queue trempy_queue_shop; in the databases the shop's tables
  and, in the target's schema trempy, how far the task is:

    psql {source}
    psql {target}
"""


def main() -> int:
    """Run the demo; return the exit code."""
    arguments = _parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    options = Options(seconds=arguments.seconds, rate=arguments.rate, once=arguments.once)
    run = _run_in_compose if arguments.compose else _run_here
    try:
        return run(options, Terminal())
    except KeyboardInterrupt:
        return INTERRUPTED


def _run_here(options: Options, terminal: Terminal) -> int:
    """Start servers on this machine; they stay up if all goes well and more than one look is wanted."""
    if not _make_room(terminal):
        return FAILED
    terminal.say(INTRODUCTION)
    stack = LocalStack(terminal)
    try:
        is_equal = _demonstrate(stack, options, terminal)
    except StepError:
        _end(stack, terminal)
        terminal.say(f"\nThe demo failed; its logs are kept in {stack.state.directory}.")
        return FAILED
    except BaseException:
        terminal.say("\nInterrupted.")
        _remove(stack, terminal)
        raise
    if options.once:
        _remove(stack, terminal)
    return DONE if is_equal else FAILED


def _demonstrate(local: LocalStack, options: Options, terminal: Terminal) -> bool:
    """Return whether source and target were equal in the end."""
    stack = local.start()
    shopkeeper = Shopkeeper(stack.source.owner_uri, directory=stack.log_directory)
    outcome = replicate(stack, shopkeeper, options=options, terminal=terminal)
    if not options.once:
        reopen(shopkeeper, terminal=terminal)
        local.state.is_complete = True
        local.state.save()
    show_outcome(outcome, terminal=terminal)
    if not options.once:
        _show_how_to_go_on(stack, terminal)
        terminal.say("It all stays up in the background; `make demo-down` removes it.")
    return outcome.is_equal


def _run_in_compose(options: Options, terminal: Terminal) -> int:
    """Use the servers of docker-compose.yaml; the traffic goes on until this command is stopped."""
    terminal.say(INTRODUCTION)
    try:
        stack = connect_stack(terminal)
        shopkeeper = Shopkeeper(stack.source.owner_uri, directory=stack.log_directory)
        outcome = replicate(stack, shopkeeper, options=options, terminal=terminal)
        show_outcome(outcome, terminal=terminal)
        if not options.once:
            reopen(shopkeeper, terminal=terminal)
            _show_how_to_go_on(stack, terminal)
            signal.pause()
    except StepError:
        terminal.say("\nThe demo failed.")
        return FAILED
    return DONE if outcome.is_equal else FAILED


def _make_room(terminal: Terminal) -> bool:
    """Remove what an interrupted demo has left; return False if one is up or at work."""
    state = read_state()
    if state is None:
        return True
    if state.demo_is_running():
        terminal.say(f"Another `make demo` is at work (pid {state.demo_pid}).")
        return False
    if state.is_up():
        terminal.say("A demo is up already; `make demo-down` removes it.")
        _show_addresses(state.addresses, terminal)
        return False
    remove(state)
    return True


def _end(stack: LocalStack, terminal: Terminal) -> None:
    _ignore_interruptions()
    terminal.show("Ending what was started …")
    stack.end()


def _remove(stack: LocalStack, terminal: Terminal) -> None:
    _ignore_interruptions()
    terminal.ignore_failures()
    terminal.show("Ending and removing what was started …")
    stack.remove()
    terminal.report("✓", "Everything that was started has ended and is removed")


def _ignore_interruptions() -> None:
    """Let nothing interrupt the cleaning up: it takes seconds."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _show_how_to_go_on(stack: Stack, terminal: Terminal) -> None:
    _show_addresses(stack.addresses, terminal)
    terminal.say(HOW_TO_GO_ON.format(source=stack.source.owner_uri, target=stack.target.provider_uri))


def _show_addresses(addresses: Mapping[str, str], terminal: Terminal) -> None:
    for name, address in addresses.items():
        terminal.say(f"  {name:11} {address}")


def _parse_arguments() -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--compose", action="store_true", help="use the servers of docker-compose.yaml")
    parser.add_argument(
        "--once",
        action="store_true",
        default=environment.get("DEMO_ONCE", "") not in {"", "0"},
        help="end and remove everything at the end (DEMO_ONCE=1)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=environment.get("DEMO_SECONDS") or SECONDS,
        help="how long to watch the live traffic (DEMO_SECONDS)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=environment.get("DEMO_RATE") or RATE,
        help="transactions per second (DEMO_RATE)",
    )
    return parser.parse_args()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
