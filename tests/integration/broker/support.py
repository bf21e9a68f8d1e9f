"""What the broker's tests share."""

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
