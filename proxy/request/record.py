"""The record of one request: its parts, its attempts, its response, and its phase."""

from typing import Final

from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.request.downstream import ClientInfo
from proxy.request.policy import PolicyPass
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.plan import RoutePlan
from proxy.upstream.retries.failover import Failover

PICK: Final = 0  # no endpoint has been asked
ATTEMPT: Final = 1  # an endpoint is being connected to, or has the request, or will soon
RESPONSE: Final = 2  # the client has the head of the response
TUNNEL: Final = 3  # bytes flow both ways after a 101
DONE: Final = 4  # accounted


class RequestRecord:
    """The state that the phases of a request share."""

    __slots__ = (
        "body_bytes",
        "choice",
        "client",
        "deadline",
        "error_status",
        "first_cluster",
        "has_whole_body",
        "headers",
        "history",
        "is_replayable",
        "line",
        "phase",
        "plan",
        "policy",
        "request_id",
        "response_bytes",
        "started",
        "status",
    )

    def __init__(
        self, started: float, client: ClientInfo, plan: RoutePlan, line: RequestLine, headers: RequestHeaders,
        request_id: bytes,
    ) -> None:  # fmt: skip
        self.started = started  # monotonic
        self.client = client
        self.plan = plan
        self.line = line
        self.headers = headers
        self.request_id = request_id
        self.phase = PICK
        self.policy: PolicyPass | None = None  # None: neither the route nor the listener has any
        # The request body
        self.body_bytes = 0  # received, without framing
        self.has_whole_body = headers.control.length == 0
        self.is_replayable = True  # all that was received of it can be sent again
        # Attempts
        self.choice: Choice | None = None
        self.first_cluster = ""  # cluster of the first attempt
        self.history: Failover | None = None  # failed attempts; None: none has failed
        self.deadline = 0.0  # end of all attempts together, monotonic; 0 until it is needed
        self.error_status = 0  # status of the response for which an error page is fetched
        # The response
        self.status = 0  # 0: there is none yet
        self.response_bytes = 0  # bytes of the response body, without framing

    @property
    def is_done(self) -> bool:
        return self.phase == DONE

    @property
    def is_head(self) -> bool:
        return self.line.resource.is_head

    @property
    def asks_for_tunnel(self) -> bool:
        return self.headers.control.upgrade and self.line.resource.method == b"GET" and self.line.version > 0

    def failover(self) -> Failover:
        """Return the history of failed attempts, which begins with the first one."""
        history = self.history
        if history is None:
            history = self.history = Failover(self.plan.retry)
        return history
