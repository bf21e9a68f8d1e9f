"""Ports for local servers."""

import fcntl
import random
import socket
import tempfile
from os import getuid
from pathlib import Path
from typing import IO

# Below the range the kernel takes clients' ports from (net.ipv4.ip_local_port_range): a server that restarts
# must not find its port taken by somebody's outgoing connection.
LOWEST_PORT = 15_000
HIGHEST_PORT = 32_000

_reservations: dict[int, IO[str]] = {}


def free_port() -> int:
    """Reserve a TCP port of 127.0.0.1 that nothing listens on.

    While this process lives, nobody who calls this function gets it again, in another process either.
    """
    for port in random.sample(range(LOWEST_PORT, HIGHEST_PORT), k=500):
        if port not in _reservations and _reserve(port):
            return port
    raise RuntimeError(f"no free TCP port found between {LOWEST_PORT} and {HIGHEST_PORT}")


def _reserve(port: int) -> bool:
    reservation = (_reservations_directory() / str(port)).open("w")
    try:
        fcntl.flock(reservation, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _bind_once(port)
    except OSError:
        reservation.close()
        return False
    _reservations[port] = reservation
    return True


def _bind_once(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def _reservations_directory() -> Path:
    directory = Path(tempfile.gettempdir()) / f"trempy-ports-{getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
