"""A TCP proxy that breaks connections in the ways networks do: cut, held back, or deaf in one direction."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

_CHUNK_BYTES = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(Enum):
    """Which way bytes go."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Flow(Enum):
    """What becomes of the bytes of one direction."""

    PASSES = "passes"
    IS_HELD = "is held back"
    IS_LOST = "is lost"


BOTH = tuple(Direction)


@dataclass
class Trap:
    """Cut the connection on which some bytes come by in one direction; once.

    `pattern`: when they come, which are still forwarded if `forwards`.
    `size_bytes`: after so many bytes.
    """

    direction: Direction
    pattern: bytes = b""
    size_bytes: int = 0
    forwards: bool = True
    _tail: bytes = field(default=b"", repr=False)
    sprung: threading.Event = field(default_factory=threading.Event, repr=False)

    def spring(self, received: bytes) -> int | None:
        """Return how many of the bytes may still pass, None while the trap waits."""
        if self.pattern:
            seen = self._tail + received
            position = seen.find(self.pattern)
            self._tail = seen[-len(self.pattern) + 1 :]
            if position < 0:
                return None
            return len(received) if self.forwards else max(position - len(seen) + len(received), 0)
        self.size_bytes -= len(received)
        return None if self.size_bytes > 0 else max(len(received) + self.size_bytes, 0)


class Proxy:
    """A listener before one server; what it does to connections is decided while they live."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._trap: Trap | None = None
        self._is_down = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port to connect to."""
        return int(self._listener.getsockname()[1])

    @property
    def link_count(self) -> int:
        """Return how many connections are open."""
        return len(self._open_links())

    def hold(self, *directions: Direction) -> None:
        """Keep what the present connections send, until `release`; connections made later pass."""
        self._set(Flow.IS_HELD, directions or BOTH)

    def lose(self, *directions: Direction) -> None:
        """Drop what the present connections send, as if it had arrived; only `cut` ends that."""
        self._set(Flow.IS_LOST, directions or BOTH)

    def release(self) -> None:
        """Let everything pass again."""
        self._set(Flow.PASSES, BOTH)

    def hold_answers(self) -> None:
        """Keep what the server sends from now on, until `release_answers`."""
        self.hold(Direction.TO_CLIENT)

    def release_answers(self) -> None:
        """Let the server's answers pass again."""
        self.release()

    def set_trap(self, trap: Trap | None) -> Trap | None:
        """Cut a connection at the moment the trap describes; one trap at a time, None for none."""
        with self._lock:
            self._trap = trap
        return trap

    def cut(self) -> None:
        """Break all connections; new ones pass."""
        for link in self._open_links():
            link.cut()

    def go_down(self) -> None:
        """Break all connections, and every new one at once, until `come_up`."""
        self._is_down = True
        self.cut()

    def come_up(self) -> None:
        """Let new connections pass."""
        self._is_down = False

    def close(self) -> None:
        """Break all connections and accept no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def pass_on(self, received: bytes, direction: Direction) -> tuple[bytes, Trap | None]:
        """Return what to forward of the bytes received, and the trap that springs then."""
        with self._lock:
            trap = self._trap
            if trap is None or trap.direction is not direction:
                return received, None
            size = trap.spring(received)
            if size is None:
                return received, None
            self._trap = None
            return received[:size], trap

    def _open_links(self) -> list[_Link]:
        with self._lock:
            self._links = [link for link in self._links if link.is_open]
            return list(self._links)

    def _set(self, flow: Flow, directions: tuple[Direction, ...]) -> None:
        for link in self._open_links():
            for direction in directions:
                link.set(direction, flow)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if self._is_down:
                raise ConnectionRefusedError
            server = socket.create_connection(self._server_address, timeout=5)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._links.append(_Link(self, client, server))


class _Link:
    """One connection through the proxy: two sockets, and a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = {Direction.TO_SERVER: (client, server), Direction.TO_CLIENT: (server, client)}
        self._flows = dict.fromkeys(Direction, Flow.PASSES)
        self._changed = threading.Condition()
        self.is_open = True
        for direction in Direction:
            threading.Thread(target=self._pump, args=(direction,), name="proxy-link", daemon=True).start()

    def set(self, direction: Direction, flow: Flow) -> None:
        with self._changed:
            self._flows[direction] = flow
            self._changed.notify_all()

    def cut(self) -> None:
        with self._changed:
            self.is_open = False
            self._changed.notify_all()
        for end in self._ends[Direction.TO_SERVER]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pump(self, direction: Direction) -> None:
        origin, goal = self._ends[direction]
        with suppress(OSError):
            while received := origin.recv(_CHUNK_BYTES):
                if not self._forward(received, goal, direction):
                    break
        self.cut()
        with suppress(OSError):
            origin.close()

    def _forward(self, received: bytes, goal: socket.socket, direction: Direction) -> bool:
        """Forward bytes as the direction's flow says; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_open or self._flows[direction] is not Flow.IS_HELD)
            if not self.is_open:
                return False
            is_lost = self._flows[direction] is Flow.IS_LOST
        if is_lost:
            return True
        passing, trap = self._proxy.pass_on(received, direction)
        goal.sendall(passing)
        if trap is not None:
            self.cut()
            trap.sprung.set()
        return trap is None
