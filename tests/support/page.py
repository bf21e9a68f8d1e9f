"""Requests to the page "Replication" as a user of Airflow, or as nobody who is logged in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT_SECONDS = 60
ACTION_HEADER = "X-Trempy-Action"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Page:
    """The page below `url`; `token` is a user's of Airflow, None for nobody."""

    def __init__(self, url: str, token: str | None, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.address = url
        self._url = f"{url}/trempy"
        self._timeout_seconds = timeout_seconds
        self._token = token
        self._opener = build_opener(ProxyHandler({}))

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def act(self, task_name: str, action: str, **params: Any) -> Answer:
        return self.send("POST", f"/api/tasks/{task_name}/actions/{action}", params)

    def send(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send with the header of actions unless other headers are given."""
        return self._send(method, f"{self._url}{path}", body, headers)

    def visit(self, url: str) -> Answer:
        """GET any URL of the same server as the same user."""
        return self._send("GET", url, None, None)

    def _send(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        given = {"Content-Type": "application/json", **({ACTION_HEADER: "1"} if headers is None else headers)}
        if self._token is not None:
            given["Authorization"] = f"Bearer {self._token}"
        encoded = None if body is None else json.dumps(body).encode()
        request = Request(url, data=encoded, headers=given, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())
