"""The admin API: health, metrics and JSON. Only `failback` changes the state of the gateway.

Requests that change state, or need more than a query string, are POSTs of JSON with a token: a web page
cannot send such a request unasked, and neither can a program of this machine that does not know the token.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from controlplane.admin import views
from controlplane.admin.access import AdminAccess, TokenCheck
from controlplane.admin.bodies import MAX_OBJECTS, encode, read_body, read_json
from controlplane.admin.diff import difference
from controlplane.admin.explain import explanation
from controlplane.admin.exposition import content_type, exposition
from controlplane.admin.failback import FailbackError, LetBack, let_back
from controlplane.admin.failovers import failover_views
from controlplane.admin.health import readiness, report
from controlplane.admin.hosts import HostCheck
from controlplane.admin.metrics import Metrics
from controlplane.admin.problems import on_error, on_http_exception, problem
from controlplane.admin.question import Question, QuestionError
from controlplane.admin.state import Source, State
from controlplane.proposal.difference import ProposalError
from controlplane.proposal.runner import Differ, Failed
from proxy.model.codec import encode_snapshot

RETRY_AFTER_S = "2"
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

T = TypeVar("T")
View = Callable[[State, Request], views.Json]


class AdminApi:
    """Handlers around one source of state."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._differ = Differ()
        self._threads = asyncio.Semaphore(2)

    async def livez(self, request: Request) -> Response:
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def readyz(self, request: Request) -> Response:
        checks = readiness(self._source.state())
        if not all(check.passed for check in checks):
            return PlainTextResponse(report(checks), 503, headers=NO_STORE)
        verbose = "verbose" in request.query_params
        return PlainTextResponse(report(checks) if verbose else "ok\n", headers=NO_STORE)

    async def metrics(self, request: Request) -> Response:
        await self._source.refresh()
        state, accept = self._source.state(), request.headers.get("accept", "")
        pieces = await self._beside(lambda: list(exposition(Metrics(state), accept)))
        headers = {"Content-Type": content_type(accept), "Content-Length": str(sum(map(len, pieces)))}
        return StreamingResponse(_each(pieces), headers=headers | NO_STORE)

    async def snapshot(self, request: Request) -> Response:
        snapshot = self._source.state().snapshot
        if snapshot is None:
            return problem(503, "no snapshot yet", "/readyz says what is missing")
        body = await self._beside(lambda: encode_snapshot(snapshot))
        return Response(body, media_type="application/json", headers=NO_STORE)

    async def explain(self, request: Request) -> Response:
        question = await read_json(request, Question)
        await self._source.refresh()
        state = self._source.state()
        if state.snapshot is None:
            return problem(503, "no snapshot yet", "/readyz says what is missing")
        snapshot, basis = state.snapshot, self._source.basis()
        ingresses = basis.fleet.ingresses if basis is not None else {}
        try:
            return await self._json_of(lambda: explanation(state, snapshot, question, ingresses))
        except QuestionError as error:
            raise HTTPException(400, str(error)) from None

    async def diff(self, request: Request) -> Response:
        try:
            with self._differ.turn():
                body = await read_body(request, MAX_OBJECTS)
                answer = await difference(self._source, self._differ, body)
        except ProposalError as error:
            raise HTTPException(400, str(error)) from None
        except Failed as error:
            raise HTTPException(503, str(error), headers={"Retry-After": RETRY_AFTER_S}) from None
        return Response(answer, media_type="application/json", headers=NO_STORE)

    async def failback(self, request: Request) -> Response:
        wanted = await read_json(request, LetBack)
        await self._source.refresh()
        try:
            return JSONResponse(let_back(self._source, wanted), headers=NO_STORE)
        except FailbackError as error:
            raise HTTPException(400, str(error)) from None

    def json(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            await self._source.refresh()
            state = self._source.state()
            return await self._json_of(lambda: view(state, request))

        return handler

    async def _json_of(self, make: Callable[[], views.Json]) -> Response:
        body = await self._beside(lambda: encode(make()))
        return Response(body, media_type="application/json", headers=NO_STORE)

    async def _beside(self, work: Callable[[], T]) -> T:
        """Do work that may look at every route in a thread; few at a time, for each delays the loop."""
        async with self._threads:
            return await asyncio.to_thread(work)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def filters(request: Request, *known: str) -> dict[str, str]:
    """Return the query parameters; an unknown one is an error, not a filter that has no effect."""
    for key in request.query_params:
        if key not in known:
            raise HTTPException(400, f"unknown parameter {key}; known are: {', '.join(known) or 'none'}")
    return dict(request.query_params)


def overview(state: State, request: Request) -> views.Json:
    filters(request)
    return views.overview(state)


def routes(state: State, request: Request) -> views.Json:
    return views.listing(state, views.routes(state, **filters(request, "host", "service", "cluster")))


def clusters(state: State, request: Request) -> views.Json:
    return views.listing(state, views.clusters(state, **filters(request, "cluster")))


def endpoints(state: State, request: Request) -> views.Json:
    return views.listing(state, views.endpoints(state, **filters(request, "service", "cluster")))


def failovers(state: State, request: Request) -> views.Json:
    return views.listing(state, failover_views(state, **filters(request, "service", "cluster")))


def diagnostics(state: State, request: Request) -> views.Json:
    wanted = filters(request, "level", "namespace", "name", "code")
    return views.listing(state, views.diagnostics(state, **wanted))


def build_app(source: Source, names: Iterable[str], access: AdminAccess) -> Starlette:
    """Return the ASGI app; `names` are the host names it may be asked by, besides localhost."""
    admin = AdminApi(source)
    return Starlette(
        routes=[
            Route("/livez", admin.livez),
            Route("/healthz", admin.livez),
            Route("/readyz", admin.readyz),
            Route("/metrics", admin.metrics),
            Route("/api/v1/overview", admin.json(overview)),
            Route("/api/v1/routes", admin.json(routes)),
            Route("/api/v1/clusters", admin.json(clusters)),
            Route("/api/v1/endpoints", admin.json(endpoints)),
            Route("/api/v1/failovers", admin.json(failovers)),
            Route("/api/v1/diagnostics", admin.json(diagnostics)),
            Route("/api/v1/snapshot", admin.snapshot),
            Route("/api/v1/explain", admin.explain, methods=["POST"]),
            Route("/api/v1/diff", admin.diff, methods=["POST"]),
            Route("/api/v1/failback", admin.failback, methods=["POST"]),
        ],
        middleware=[Middleware(HostCheck, names=tuple(names)), Middleware(TokenCheck, access=access)],
        exception_handlers={HTTPException: on_http_exception, Exception: on_error},
    )
