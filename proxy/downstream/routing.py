"""The route of a request, or the answer to a request that gets no further."""

from proxy.dataplane import DataPlane
from proxy.downstream.answers import FORBIDDEN, LAST_HOP, LOOP, NO_ROUTE, NOT_HTTPS, Answer
from proxy.downstream.state import ListenerState
from proxy.http.loops import is_loop
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import HttpsRequestLine, RequestLine
from proxy.request.downstream import ClientInfo
from proxy.upstream.plan import RoutePlan


def find_route(
    plane: DataPlane, listener: ListenerState, client: ClientInfo, line: RequestLine, headers: RequestHeaders
) -> RoutePlan | Answer:
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
    return plan
