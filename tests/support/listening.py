"""What addresses processes listen on."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"  # TCP_LISTEN in net/tcp_states.h


def listening_hosts(pids: set[int]) -> set[str]:
    """Return the hosts on which these processes listen for TCP connections (proc(5), /proc/net/tcp)."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    return {host for host, inode in _listeners() if inode in inodes}


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _listeners() -> Iterator[tuple[str, str]]:
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN:
                yield _host(family, fields[1].partition(":")[0]), fields[9]


def _host(family: int, address: str) -> str:
    """Read an address: words of 32 bits, each in the machine's byte order."""
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
