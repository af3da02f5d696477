"""Access to the admin API: changes need a token, and away from loopback all requests except probes do."""

import logging
from typing import Final

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controlplane.admin.problems import Problem
from controlplane.admin.token import TokenError, TokenFile

log = logging.getLogger(__name__)

OPEN: Final = frozenset(("/livez", "/readyz", "/healthz"))
"""Probes of a kubelet or balancer have no token, and learn nothing from these but yes or no."""

_READS: Final = frozenset(("GET", "HEAD"))


class AdminAccess(msgspec.Struct, frozen=True):
    """`is_local`: the API listens on a loopback address, where reading needs no token."""

    token: TokenFile
    is_local: bool


class TokenCheck:
    """ASGI middleware: lets requests pass that need no token, or have it."""

    def __init__(self, app: ASGIApp, access: AdminAccess) -> None:
        self._app = app
        self._access = access
        self._problem = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        if scope["method"] in _READS and (self._access.is_local or scope["path"] in OPEN):
            return None
        sent = Headers(scope=scope).getlist("authorization")
        scheme, _, token = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
        try:
            accepted = self._access.token.accepts(token.strip().encode("latin-1"))
            self._problem = ""
        except TokenError as error:
            return self._unusable(str(error))
        return None if accepted and scheme.lower() == "bearer" else self._unauthorized()

    def _unusable(self, cause: str) -> Problem:
        if cause != self._problem:
            self._problem = cause
            log.error("token of the admin API cannot be used", extra={"cause": cause})
        return _problem(
            503, "Service Unavailable", "the token cannot be checked; see the log of the control plane"
        )

    def _unauthorized(self) -> Problem:
        """Ask for the token; only clients on this machine, as `fleetgate explain`, learn its file."""
        if not self._access.is_local:
            detail = "send the token of --admin-token-file as Authorization: Bearer"
            return _problem(401, "Unauthorized", detail)
        path = str(self._access.token.path)
        return _problem(
            401, "Unauthorized", f"send the token in {path} as Authorization: Bearer", tokenFile=path
        )


def _problem(status: int, title: str, detail: str, **members: str) -> Problem:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"WWW-Authenticate": 'Bearer realm="fleetgate"'} if status == 401 else None
    return Problem(body | members, status, headers)
