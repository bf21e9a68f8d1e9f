"""A server that speaks the API of OpenAI-compatible chat completions, with recorded answers.

Each request takes the next answer; the last one stays.
"""

import json
import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "openai-chat:deepseek-chat"
API_KEY = "sk-verysecretkeyofthemodel0123456789"


@dataclass(frozen=True)
class Answered:
    """One answer: a message of the assistant, or an error of the server.

    `waits`: until the test ends, or the client hangs up.
    """

    content: str | None = None
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    waits: bool = False


def settings_answer(settings: Any, reasons: Mapping[str, str] | None = None) -> Answered:
    """Return the answer of a model that has drafted settings."""
    listed = [{"path": path, "reason": reason} for path, reason in (reasons or {}).items()]
    return Answered(json.dumps({"settings": settings, "reasons": listed}))


@dataclass
class ModelServer:
    """What was asked of a model's server, and what it answers."""

    base_url: str
    answers: list[Answered] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    was_hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def sent(self) -> str:
        """Return all that was sent in bodies."""
        return "\n".join(json.dumps(request, ensure_ascii=False) for request in self.requests)

    def connection(self) -> str:
        """Return the Airflow connection of the model, as JSON."""
        extra = {"model": MODEL}
        return json.dumps(
            {"conn_type": "pydanticai", "host": self.base_url, "password": API_KEY, "extra": extra}
        )

    def next_answer(self) -> Answered:
        """Return the next answer; the last one stays."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def messages(self, number: int = -1) -> list[dict[str, Any]]:
        """Return the messages of a request."""
        return list(self.requests[number]["messages"])

    def last_message(self, number: int = -1) -> str:
        """Return the text of a request's last message."""
        return str(self.messages(number)[-1]["content"])


@contextmanager
def model_server(*answers: Answered) -> Iterator[ModelServer]:
    """Run the server on a free port of this machine while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append(json.loads(body))
            server.headers.append({key.lower(): text for key, text in self.headers.items()})
            answered = server.next_answer()
            if answered.waits:
                self._wait()
            self._send(answered)

        def _wait(self) -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not server.ended.wait(0.05):
                if select.select([self.connection], [], [], 0)[
                    0
                ]:  # nothing but its end comes from the client
                    server.was_hung_up.set()
                    return

        def _send(self, answered: Answered) -> None:
            content = json.dumps(_completion(answered)).encode()
            self.send_response(answered.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # nobody waits any more
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = ModelServer(f"http://127.0.0.1:{httpd.server_port}/v1", list(answers))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _completion(answered: Answered) -> dict[str, Any]:
    if answered.status != 200:
        return {"error": {"message": f"Incorrect API key provided: {API_KEY}", "type": "error"}}
    message: dict[str, Any] = {"role": "assistant", "content": answered.content}
    if answered.tool is not None:
        call = {"name": answered.tool, "arguments": json.dumps(answered.arguments)}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "deepseek-chat",
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "stop" if answered.tool is None else "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }
