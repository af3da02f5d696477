"""Errors as application/problem+json (RFC 9457)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Problem(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, title: str, detail: str = "") -> Response:
    body = {"type": "about:blank", "title": title, "status": status}
    return Problem(body | ({"detail": detail} if detail else {}), status)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != phrase else f"{request.method} {request.url.path}"
    answer = problem(error.status_code, phrase, detail)
    answer.headers.update(error.headers or {})
    return answer


async def on_error(request: Request, error: Exception) -> Response:
    """A defect of ours: the traceback is in the log, not in the answer."""
    return problem(500, "internal error", "see the log of the control plane")
