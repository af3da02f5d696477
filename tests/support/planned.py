"""What a worker makes of the routes of a snapshot, and requests that are sent through it without a socket."""

from collections.abc import Iterator

from proxy.http.errors import RequestError
from proxy.http.heads import HeadReader, Heads
from proxy.http.response import parse_response_head
from proxy.model.channel import decode_routes, parts_of
from proxy.model.snapshot import Route, Snapshot
from proxy.policies.asked import Asked
from proxy.policies.limits import Limiters
from proxy.policies.route import RoutePolicies
from proxy.routing.table import RouteTable
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services

_FIELDS = (
    "",
    "Origin: https://shop.example.com\r\nCookie: SERVERID=1; stage=gray\r\nX-Stage: gray\r\n",
    "Origin: null\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n",
)
_LINES = (
    "GET / HTTP/1.1",
    "GET /a/b?stage=gray&x HTTP/1.1",
    "OPTIONS /api/x HTTP/1.1",
    "POST /%C3%A9/ HTTP/1.1",
)
_ANSWER = (
    b"HTTP/1.1 %d OK\r\nContent-Type: text/plain\r\nX-Stage: gray\r\nVary: Accept\r\nContent-Length: 2\r\n"
)
_DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"


def planned(snapshot: Snapshot) -> tuple[RouteTable[RoutePlan], list[RoutePlan]]:
    """Return the table and every plan; raises what a worker could not use, when it compiles or binds."""
    services, limiters = Services(), Limiters()
    plans: list[RoutePlan] = []

    def bind(route: Route) -> RoutePlan:
        return RoutePlan(route, services, RouteCounters(route.id), limiters)

    table = RouteTable(bind)
    for part in parts_of(snapshot):
        for route in decode_routes(part):
            table.add(route)
            plans.append(bind(route))
    return table, plans


def requests(host: str, port: int) -> Iterator[Asked]:
    """Requests for a host, of all kinds that policies tell apart."""
    for line in _LINES:
        for fields in _FIELDS:
            reader = HeadReader(Heads())
            reader.read(f"{line}\r\nHost: {host or 'any.example'}\r\n{fields}\r\n".encode(), 0)
            for client in (b"192.0.2.1", b"2001:db8::1", b"unknown"):
                yield Asked(reader.line, reader.headers, b"http", client, 40000, port)


def send(table: RouteTable[RoutePlan], plan: RoutePlan, asked: Asked) -> list[bytes]:
    """Return what is written for a request that takes this route: to the client, and to the endpoint."""
    table.find(asked.listener_port, asked.host, asked.path, asked.headers, asked.line, asked.client)
    written: list[bytes] = []
    policies = plan.policies
    if policies is not None:
        policies.look_at(asked)
        written += _own_answer(policies, asked)
        written += _forwarded(policies, asked)
        written += _answers(policies, asked)
    plan.pick_for(asked.client, asked.line, asked.headers)
    if plan.sticky is not None:
        plan.sticky.stripped(asked.headers)
    return written


def _own_answer(policies: RoutePolicies, asked: Asked) -> Iterator[bytes]:
    verdict = policies.gate.enter(asked, 1.0) if policies.gate is not None else None
    if verdict is not None:
        head, body = verdict.answer.message(asked, b"id", verdict.fields)
        yield head.text(1, _DATE, keep=True) + body
        if policies.response is not None:
            yield policies.response.own_head(head, asked).text(1, _DATE, keep=True)


def _forwarded(policies: RoutePolicies, asked: Asked) -> Iterator[bytes]:
    if policies.request is not None:
        try:
            line = policies.request.line(asked)
        except RequestError:  # a path that groups bring above the root: 400
            return
        yield line + policies.request.fields(asked, b"X-Request-Id: 1\r\n") + b"\r\n"


def _answers(policies: RoutePolicies, asked: Asked) -> Iterator[bytes]:
    if policies.response is not None:
        for status in (200, 204, 404, 503):
            yield policies.response.head(parse_response_head(_ANSWER % status), asked).whole
