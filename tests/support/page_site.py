"""A server that speaks the contract of the Replication page, below a prefix, for a browser's tests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft202012Validator

from tests.support.page_answers import (
    ACTIONS,
    CHOICES,
    DRY_RUN,
    HOSTILE,
    NOW,
    STATES,
    Json,
    batches,
    dead_letter,
    difference,
    error,
    history,
    overview,
    tables_of,
    validation,
)
from trempy_provider.config.schema import task_json_schema

PREFIX = "/deep/airflow"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SETTINGS: Json = {
    "task": {"task_name": "orders", "replication_type": "full_load_and_cdc", "interval_seconds": 5},
    "tables": [{"schema_name": "shop", "table_name": "orders"}],
}
DRAFT: Json = {
    "text": json.dumps({**SETTINGS, "task": {**SETTINGS["task"], "task_name": "drafted"}}, indent=2),
    "reasons": [{"path": "task.replication_type", "text": f"you want changes of {HOSTILE}"}],
    "warnings": ["shop.orders has no primary key"],
    "problems": [],
    "diff": [],
    "by": "model",
    "author": "deepseek:deepseek-chat",
    "schema": task_json_schema(),
}
FRAME = """<!doctype html><html class="{theme}"><body style="margin:0">
<iframe src="{href}" sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"
 style="border:0;width:100%;height:95vh"></iframe></body></html>"""


class AnsweredError(Exception):
    """An answer that refuses."""

    def __init__(self, status: int, body: Json):
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class PageSite:
    """The tasks that are served, and what was asked."""

    url: str = ""
    tasks: list[Json] = field(default_factory=lambda: [overview("orders")])
    tables: list[Json] = field(default_factory=lambda: tables_of(4))
    errors: list[Json] = field(default_factory=lambda: [error(number) for number in range(3)])
    dead_letters: list[Json] = field(default_factory=lambda: [dead_letter(number) for number in range(3)])
    validation: Json | None = field(default_factory=validation)
    differences: list[Json] = field(default_factory=lambda: [difference(number) for number in range(3)])
    can: Json = field(
        default_factory=lambda: dict.fromkeys((*ACTIONS, "edit_settings", "view_settings"), True)
    )
    problems: list[str] = field(default_factory=list)
    forbidden: frozenset[str] = frozenset()
    text: str = json.dumps(SETTINGS, indent=2)
    version: int | None = 1  # of the settings that are saved; None: there are none
    failing: int | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)
    actions: list[tuple[str, Json]] = field(default_factory=list)
    assisted: list[tuple[str, Json]] = field(default_factory=list)
    draft: Json = field(default_factory=lambda: dict(DRAFT))
    may_draft: threading.Event = field(default_factory=threading.Event)
    parent_theme: str = "light"

    @property
    def page(self) -> str:
        """Return the address of the page."""
        return f"{self.url}{PREFIX}/trempy/"

    def answer(self, method: str, path: list[str], query: Json, body: Json) -> Json:
        """Return the answer to a request below `api/`."""
        self._refuse(path)
        match method, path:
            case "GET", ["tasks"]:
                return self._tasks()
            case "GET", ["tasks", name]:
                return {**self._task(name), "tables": self.tables, "can": self.can}
            case _, ["tasks", _, "settings", *rest]:
                return self._settings(method, rest, body)
            case _, ["assistant", wanted]:
                return self._assist(wanted, body)
            case "POST", ["tasks", name, "actions", action]:
                return self._act(name, action, body)
            case "GET", ["tasks", _, *_, listing]:
                return self._list(listing, query)
        raise AnsweredError(404, {"detail": f"nothing is at {'/'.join(path)}"})

    def _refuse(self, path: list[str]) -> None:
        if self.failing:
            raise AnsweredError(self.failing, {"detail": "the metadata database does not answer"})
        if path[-1] in self.forbidden:
            raise AnsweredError(403, {"detail": f"reading {path[-1]} needs a right you lack"})

    def _tasks(self) -> Json:
        return {
            "now": NOW.isoformat(),
            "tasks": self.tasks,
            "hidden": 2,
            "problems": self.problems,
            "can_create": self.can["edit_settings"],
        }

    def _assist(self, wanted: str, body: Json) -> Json:
        if wanted == "context":
            return CHOICES
        self.assisted.append((wanted, body))
        if wanted == "draft":
            self.may_draft.wait(20)
        return self.draft if wanted == "draft" else DRY_RUN

    def _list(self, listing: str, query: Json) -> Json:
        if listing == "history":
            return history(query["range"])
        if listing == "validation":
            return {"validation": self.validation}
        if listing == "batches":
            return {"batches": batches(120)[: int(query["limit"])]}
        return self._page(listing, query)

    def _task(self, name: str) -> Json:
        for task in self.tasks:
            if task["name"] == name:
                return task
        raise AnsweredError(404, {"detail": f"no replication task is called {name!r}"})

    def _page(self, key: str, query: Json) -> Json:
        entries = getattr(self, key)
        start, limit = int(query.get("after", 0)), min(int(query["limit"]), 50)
        end = start + limit
        return {key: entries[start:end], "next": end if end < len(entries) else None}

    def _act(self, name: str, action: str, body: Json) -> Json:
        if action == "tear_down" and body.get("confirm") != name:
            raise AnsweredError(422, {"detail": "confirm", "problems": []})
        self.actions.append((action, body))
        dag_id = f"trempy_{name}_maintenance"
        run_id = f"manual__{len(self.actions)}"
        return {"dag_id": dag_id, "run_id": run_id, "url": f"{PREFIX}/dags/{dag_id}/runs/{run_id}"}

    def _settings(self, method: str, rest: list[str], body: Json) -> Json:
        if method == "POST" and rest == ["check"]:
            return self._check(body["text"])
        if method == "PUT":
            if body["etag"] != self._etag():
                raise AnsweredError(409, {"detail": "changed meanwhile"})
            self.text, self.version = body["text"], (self.version or 0) + 1
            return {"etag": self._etag()}
        return {
            "variable": "trempy_task_orders",
            "settings": json.loads(self.text),
            "text": self.text,
            "schema": task_json_schema(),
            "etag": self._etag(),
            "can_edit": self.can["edit_settings"],
        }

    def _etag(self) -> str | None:
        return None if self.version is None else f"v{self.version}"

    def _check(self, text: str) -> Json:
        try:
            before, after = json.loads(self.text)["task"], json.loads(text)["task"]
        except ValueError as problem:
            return {"valid": False, "problems": [{"path": "", "message": str(problem)}], "diff": []}
        diff = [
            {"path": f"task.{key}", "before": before.get(key), "after": after.get(key)}
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]
        validator = Draft202012Validator(task_json_schema())
        problems = [
            {"path": error.json_path.removeprefix("$."), "message": error.message}
            for error in validator.iter_errors(json.loads(text))
        ]
        if after.get("interval_seconds") == 13:
            problems += [{"path": "task.interval_seconds", "message": "13 is refused by the server alone"}]
        return {"valid": not problems, "problems": problems, "diff": diff}


def many_tasks(count: int) -> list[Json]:
    """Return so many tasks, in every state."""
    return [overview(f"task_{number:03}", state=STATES[number % len(STATES)]) for number in range(count)]


class Handler(BaseHTTPRequestHandler):
    """Serve the page below the prefix, and a stand-in for Airflow's own pages around it."""

    site: PageSite

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def _serve(self, method: str) -> None:
        self.site.requests.append((method, self.path))
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(PREFIX)
        if not parts.path.startswith(PREFIX):
            self._send(404, "text/plain", b"")
        elif path.startswith("/trempy/api/"):
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            self._answer(method, [unquote(part) for part in path.split("/")[3:]], query)
        elif path.startswith("/trempy/"):
            self._file(path.removeprefix("/trempy/").removeprefix("static/") or "index.html")
        elif path == "/frame":
            frame = FRAME.format(theme=self.site.parent_theme, href=self.site.page)
            self._send(200, "text/html", frame.encode())
        else:
            self._send(200, "text/html", b"<!doctype html><title>Airflow</title><h1>Airflow's page</h1>")

    def _answer(self, method: str, path: list[str], query: Json) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        status, answer = (202 if "actions" in path else 200), {}
        try:
            self._refuse_forms(method)
            answer = self.site.answer(method, path, query, body)
        except AnsweredError as refused:
            status, answer = refused.status, refused.body
        self._send(status, "application/json", json.dumps(answer).encode())

    def _refuse_forms(self, method: str) -> None:
        if method != "GET" and self.headers.get("X-Trempy-Action") != "1":
            raise AnsweredError(403, {"detail": "the header X-Trempy-Action is missing"})

    def _file(self, name: str) -> None:
        path = files("trempy_provider.plugins") / "page" / name
        kind = TYPES.get(name[name.rfind(".") :])
        if kind is None or not path.is_file():
            self._send(404, "text/plain", b"")
        else:
            self._send(200, kind, path.read_bytes())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if "/trempy/" in self.path:
            self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(site: PageSite) -> Iterator[PageSite]:
    """Serve a site on a free port while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
