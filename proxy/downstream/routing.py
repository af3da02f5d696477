"""The route of a request, or the answer to a request that gets no further."""

from proxy.dataplane import DataPlane
from proxy.downstream.answers import AMBIGUOUS, FORBIDDEN, LAST_HOP, LOOP, NO_ROUTE, NOT_HTTPS, Answer
from proxy.downstream.spelling import settled
from proxy.downstream.state import ListenerState
from proxy.http.loops import is_loop
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import HttpsRequestLine, RequestLine
from proxy.request.downstream import ClientInfo
from proxy.tls.session import TlsSession
from proxy.upstream.plan import RoutePlan


class SettledRoute:
    """The plan of a request whose path servers read differently, and the line that all read alike."""

    __slots__ = ("line", "plan")

    def __init__(self, plan: RoutePlan, line: RequestLine) -> None:
        self.plan = plan
        self.line = line


def find_route(
    plane: DataPlane, listener: ListenerState, client: ClientInfo, line: RequestLine, headers: RequestHeaders
) -> RoutePlan | SettledRoute | Answer:
    """Return the plan of the request's route, or the answer where it has none or must not take it."""
    control = headers.control
    if line.authority is not None and isinstance(line, HttpsRequestLine) and client.scheme != b"https":
        return NOT_HTTPS
    if listener.access is not None and not listener.access.permits(client.address):
        return FORBIDDEN
    if control.max_forwards == b"0" and line.resource.method == b"OPTIONS":
        return LAST_HOP
    if control.passed and is_loop(control.passed, plane.config.pseudonym):
        return LOOP
    plan = plane.config.table.find(
        listener.port, control.host, line.resource.path, headers, line, client.address
    )
    if plan is None:
        return NO_ROUTE
    if line.resource.readings is None:
        return plan
    settled_line = settled(plane.config.table, listener.port, line, headers, client.address, plan)
    return SettledRoute(plan, settled_line) if settled_line is not None else AMBIGUOUS


def is_misdirected(listener: ListenerState, session: TlsSession, host: bytes) -> bool:
    """Whether the host is not one that the handshake was for, or one as good (RFC 9110 §7.4)."""
    hosts = listener.tls
    return hosts is None or not hosts.serves(session.host, session.server_name, host.decode("latin-1"))
