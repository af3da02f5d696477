"""Which requests an endpoint has not begun to answer."""

from math import inf

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.health.latencies import Latencies


def oldest_waiting(endpoint: LiveEndpoint) -> dict[Latencies, float]:
    """Return since when (monotonic) the oldest request of each route waits for its response head."""
    oldest: dict[Latencies, float] = {}
    for connection in endpoint.connections:
        if connection.is_waiting():
            route = connection.awaits()
            if route is not None:
                oldest[route] = min(connection.since, oldest.get(route, inf))
    return oldest
