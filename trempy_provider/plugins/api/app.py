"""The app: its routes, who gets past its door, and what browsers are told about its pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from trempy_provider.errors import RetryPolicy, TrempyError
from trempy_provider.plugins.api import (
    actions,
    assistant,
    failures,
    history,
    overview,
    settings,
    validation,
)
from trempy_provider.plugins.api.airflow_access import current_user
from trempy_provider.plugins.api.rights import refuse_foreign_pages
from trempy_provider.plugins.api.state import PageState

PAGE = Path(__file__).parent.parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def create_app() -> FastAPI:
    """Return the app; every route of it asks for a user who is logged in."""
    app = FastAPI(
        title="TREMpy",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(current_user), Depends(refuse_foreign_pages)],
    )
    app.state.page = PageState()
    app.add_exception_handler(TrempyError, _tell_error)
    app.middleware("http")(_add_headers)
    app.add_exception_handler(HTTPException, _tell_refusal)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    for part in (overview, history, failures, validation, actions, settings, assistant):
        app.include_router(part.router, prefix="/api")
    _serve_page(app)
    return app


def _serve_page(app: FastAPI) -> None:
    files = StaticFiles(directory=PAGE)

    @app.get("/")
    def show_page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/static/{path:path}")
    async def send_file(path: str, request: Request) -> Response:
        answer = await files.get_response(path, request.scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    answer = await call_next(request)
    answer.headers.update(HEADERS)
    if request.url.path.rsplit("/api/", 1)[-1] != request.url.path:
        answer.headers["Cache-Control"] = "no-store"
    return answer


def _tell_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Answer with problems where there are several, with a sentence otherwise."""
    assert isinstance(error, HTTPException)
    body = error.detail if isinstance(error.detail, dict) else {"detail": error.detail}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _tell_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"path": ".".join(map(str, problem["loc"])), "message": problem["msg"]} for problem in error.errors()
    ]
    return JSONResponse({"problems": problems}, status_code=status.HTTP_422_UNPROCESSABLE_CONTENT)


def _tell_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TrempyError)
    mends = error.policy is RetryPolicy.BY_ITSELF
    code = status.HTTP_503_SERVICE_UNAVAILABLE if mends else status.HTTP_409_CONFLICT
    return JSONResponse({"detail": error.explanation}, status_code=code)
