"""One try of a request on one endpoint."""

from proxy.upstream.balancing.choice import Choice
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.endpoint import LiveEndpoint


class Attempt:
    """One attempt. The endpoint counts it as in flight from its beginning to `end`."""

    __slots__ = ("choice", "endpoint", "stream")

    def __init__(self, choice: Choice, endpoint: LiveEndpoint) -> None:
        self.choice = choice  # the choice that the endpoint comes from
        self.endpoint = endpoint
        self.stream: UpstreamStream | None = None  # None until there is a connection
        endpoint.in_flight += 1
        endpoint.requests += 1

    def move_to(self, endpoint: LiveEndpoint) -> None:
        """Go on with an endpoint that had a connection free, or answered first, instead of the chosen one."""
        chosen = self.endpoint
        if chosen is not endpoint:
            chosen.in_flight -= 1
            endpoint.in_flight += 1
            self.endpoint = endpoint

    def end(self) -> LiveEndpoint:
        """Return the endpoint, which counts the attempt no more."""
        endpoint = self.endpoint
        endpoint.in_flight -= 1
        self.stream = None
        return endpoint
