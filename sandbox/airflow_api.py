"""A small client of Airflow's REST API (/api/v2), with the standard library only."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

REQUEST_TIMEOUT_SECONDS = 60
NO_ANSWER = 0  # in the place of an HTTP status
UNANSWERED_GETS = 2
POLL_SECONDS = 0.5
FINISHED_STATES = frozenset({"success", "failed"})

Json = dict[str, Any]


class AirflowApiError(RuntimeError):
    """Airflow refused a request or could not be reached; `status` is the HTTP status, 0 for no answer."""

    def __init__(self, message: str, *, status: int = NO_ANSWER):
        super().__init__(message)
        self.status = status


def connection_fields(uri: str, conn_type: str) -> Json:
    """Return a URI's parts as a Connection of Airflow has them; `schema` is the path."""
    parts = urlsplit(uri)
    return {
        "conn_type": conn_type,
        "host": parts.hostname,
        "port": parts.port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": parts.path.removeprefix("/"),
    }


class AirflowApi:
    """Requests to one Airflow, logged in when the first one needs it."""

    def __init__(self, url: str, *, login: str, password: str):
        self.url = url
        self._credentials = {"username": login, "password": password}
        self._opener = build_opener(ProxyHandler({}))
        self._token: str | None = None

    def health(self) -> Json:
        """Return each component's health; needs no login."""
        return self._request("GET", "/api/v2/monitor/health", authenticated=False)

    @property
    def token(self) -> str:
        """Log in once and return the bearer token."""
        if self._token is None:
            answer = self._request("POST", "/auth/token", self._credentials, authenticated=False)
            self._token = str(answer["access_token"])
        return self._token

    def get(self, path: str, **query: str) -> Json:
        """GET a path below /api/v2; asked again when a busy machine gave no answer in time."""
        path = f"/api/v2{path}" + (f"?{urlencode(query)}" if query else "")
        for _ in range(UNANSWERED_GETS):
            try:
                return self._request("GET", path)
            except AirflowApiError as error:
                if error.status:
                    raise
        return self._request("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST to a path below /api/v2."""
        return self._request("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """PATCH a path below /api/v2."""
        return self._request("PATCH", f"/api/v2{path}", body)

    def list_ui(self, path: str) -> list[Json]:
        """GET a list that only Airflow's own UI asks for, below /ui."""
        return list(self._request("GET", f"/ui{path}"))

    def dags(self) -> list[str]:
        """Return the ids of all DAGs."""
        return [dag["dag_id"] for dag in self.get("/dags", limit="200")["dags"]]

    def import_errors(self) -> list[Json]:
        """Return the errors of DAG files, each with `filename` and `stack_trace`."""
        return list(self.get("/importErrors", limit="200")["import_errors"])

    def wait_for_dag(self, dag_id: str, *, timeout_seconds: float = 60) -> Json:
        """Return a DAG as soon as Airflow has parsed it; one that Airflow only remembers counts as none."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self._present_dag(dag_id)
            except AirflowApiError as error:
                if error.status not in {404, NO_ANSWER} or time.monotonic() > deadline:
                    raise AirflowApiError(f"{error}; import errors: {self.import_errors()}") from error
            time.sleep(POLL_SECONDS)

    def _present_dag(self, dag_id: str) -> Json:
        dag: Json = self.get(f"/dags/{quote(dag_id)}")
        if dag["is_stale"]:
            raise AirflowApiError(f"the DAG {dag_id} is in no file any more", status=404)
        return dag

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.set_paused(dag_id, paused=False)

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Pause a DAG or let it run."""
        self.patch(f"/dags/{quote(dag_id)}?update_mask=is_paused", {"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause a DAG, start a run with `conf` (the DAG's params), and return the run's id."""
        self.wait_for_dag(dag_id)
        self.unpause(dag_id)
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.post(f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def dag_runs(self, dag_id: str) -> list[Json]:
        """Return a DAG's runs, the newest first."""
        return list(self.get(f"/dags/{quote(dag_id)}/dagRuns", order_by="-run_after")["dag_runs"])

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        return self.get(_run_path(dag_id, run_id))

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_seconds: float = 300) -> str:
        """Return the state in which a run ends: `success` or `failed`."""
        deadline = time.monotonic() + timeout_seconds
        while (state := self._run_state(dag_id, run_id)) not in FINISHED_STATES:
            if time.monotonic() > deadline:
                raise AirflowApiError(f"run {run_id} of {dag_id} is still {state} after {timeout_seconds} s")
            time.sleep(POLL_SECONDS)
        return state

    def _run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state; one unanswered request on a busy machine does not end a wait."""
        try:
            return str(self.dag_run(dag_id, run_id)["state"])
        except AirflowApiError as error:
            if error.status != NO_ANSWER:
                raise
            return "unknown, for lack of an answer"

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the task instances of a run."""
        return list(self.get(f"{_run_path(dag_id, run_id)}/taskInstances")["task_instances"])

    def task_instance(self, dag_id: str, run_id: str, task_id: str) -> Json:
        """Return one task instance; `state`, `try_number` and `pid` are among its fields."""
        return self.get(f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}")

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task instance `success`, `failed` or `skipped`."""
        self.patch(f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}", {"new_state": state})

    def clear_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Let a task instance run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
        self.post(f"/dags/{quote(dag_id)}/clearTaskInstances", body)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return the value of an XCom, as JSON gives it."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self.get(path, deserialize="false", stringify="false")["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1) -> str:
        """Return the log of one attempt, one line per event."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        return "\n".join(_log_line(event) for event in self.get(path)["content"])

    def set_variable(self, key: str, value: str) -> None:
        """Create or replace a Variable."""
        self._upsert("/variables", key, {"key": key, "value": value})

    def set_connection(self, connection_id: str, fields: Mapping[str, Any]) -> None:
        """Create or replace a Connection: conn_type, host, port, login, password, schema, extra."""
        self._upsert("/connections", connection_id, {"connection_id": connection_id, **fields})

    def _upsert(self, collection: str, key: str, body: Mapping[str, Any]) -> None:
        try:
            self.post(collection, body)
        except AirflowApiError as error:
            if error.status != 409:
                raise
            self.patch(f"{collection}/{quote(key)}", body)

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, authenticated: bool = True
    ) -> Json:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if authenticated:
            headers["Authorization"] = f"Bearer {self.token}"
        encoded = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}{path}", data=encoded, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"{}")
        except HTTPError as error:
            text = error.read().decode(errors="replace")
            raise AirflowApiError(
                f"{method} {path}: {error.code} {text[:1000]}", status=error.code
            ) from error
        except (URLError, OSError) as error:
            raise AirflowApiError(f"{method} {path}: {error}") from error


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"


def _log_line(event: str | Json) -> str:
    if isinstance(event, str):
        return event
    details = " ".join(f"{key}={value}" for key, value in event.items() if key not in {"timestamp", "event"})
    return f"{event.get('timestamp') or ''} {event.get('event', '')} {details}".strip()
