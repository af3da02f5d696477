"""Whether a path that servers read differently can be forwarded without passing one rule as another's."""

from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.routing.table import RouteTable
from proxy.upstream.plan import RoutePlan


def settled(
    table: RouteTable[RoutePlan], port: int, line: RequestLine, headers: RequestHeaders, client: bytes,
    plan: RoutePlan,
) -> RequestLine | None:  # fmt: skip
    """Return the line to forward to endpoints of `plan`, None where the path must not be forwarded.

    Some servers take a leading `//` for the beginning of a host. Where that reading takes another route, the
    line gets one slash: clients whose base URL ends with a slash send two by mistake. Where a reading of
    `%2F` or `;` takes another route, the meaning of the path is unknown.
    """
    readings = line.resource.readings
    if readings is None:
        return line
    host = headers.control.host
    for path in readings.as_path:
        other = table.find(port, host, path, headers, line, client)
        if other is not None and other is not plan:
            return None
    for path in readings.as_reference:
        if table.find(port, host, path, headers, line, client) is not plan:
            return line.without_reference()
    return line
