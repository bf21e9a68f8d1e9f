"""The page's own app on a free port, without an Airflow around it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from sandbox.ports import free_port
from tests.support.wait import wait_until


@contextmanager
def serving_app(app: FastAPI) -> Iterator[str]:
    """Serve an app below /trempy while the block runs; give the address."""
    outer = FastAPI()
    outer.mount("/trempy", app)
    port = free_port()
    config = uvicorn.Config(outer, host="127.0.0.1", port=port, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, timeout_seconds=20, what="the app")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
