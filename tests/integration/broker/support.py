"""What the broker's tests share."""

import select
import socket
import threading
from contextlib import suppress

from trempy_provider.broker.base import OutgoingMessage, Publisher


def make_message(number: int, *, size_bytes: int = 0) -> OutgoingMessage:
    """Return a message whose body tells its number; its token is the number."""
    return OutgoingMessage(
        body=f"batch {number}".encode().ljust(size_bytes, b"."),
        message_id=f"message-{number}",
        headers={"task_name": "test", "sequence": number},
        token=number,
    )


def publish_all(publisher: Publisher, numbers: range) -> None:
    """Publish messages and wait until the broker has them."""
    for number in numbers:
        publisher.publish(make_message(number))
    assert publisher.wait_confirmed(timeout_seconds=10)


class Proxy:
    """A TCP proxy before the broker that can hold back what the broker says, or cut all connections."""

    def __init__(self, host: str, port: int) -> None:
        self._broker_address = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._answers_pass = threading.Event()
        self._answers_pass.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port to connect to."""
        return int(self._listener.getsockname()[1])

    def hold_answers(self) -> None:
        """Keep what the broker sends from now on, until `release_answers`."""
        self._answers_pass.clear()

    def release_answers(self) -> None:
        """Let everything pass again."""
        self._answers_pass.set()

    def cut(self) -> None:
        """Break all connections."""
        self.release_answers()
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break all connections and accept no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._broker_address)
                self._sockets += [client, broker]
                threading.Thread(target=self._forward, args=(client, broker), daemon=True).start()

    def _forward(self, client: socket.socket, broker: socket.socket) -> None:
        with client, broker, suppress(OSError):
            while True:
                for end in select.select([client, broker], [], [], 0.05)[0]:
                    if end is broker and not self._answers_pass.is_set():
                        self._answers_pass.wait(0.01)
                        continue
                    received = end.recv(65536)
                    if not received:
                        return
                    (client if end is broker else broker).sendall(received)
