"""One request as it stands: what was asked, where it is served, what has gone by; and its line at the end."""

from collections.abc import Callable
from time import monotonic

from proxy.client import Client
from proxy.dataplane import DataPlane
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.policies.asked import Asked
from proxy.policies.compression import Compressor
from proxy.policies.gate import Gate
from proxy.telemetry.access_log import failed_attempts, no_endpoint
from proxy.tunnel import Tunnel
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.mirroring import Mirroring
from proxy.upstream.plan import RoutePlan
from proxy.upstream.retries.failover import Failover


class RequestRecord(ResponseSink):
    """All data of an exchange. Its phases change it, `account` writes it down."""

    __slots__ = (
        "asked",
        "body",
        "body_bytes",
        "body_complete",
        "cancel_copy",
        "choice",
        "chunked",
        "client",
        "compressor",
        "connection",
        "deadline",
        "endpoint",
        "expect",
        "failover",
        "fallback_code",
        "first_cluster",
        "forward",
        "gate",
        "headers",
        "is_done",
        "keep",
        "kept_bytes",
        "line",
        "mirroring",
        "plan",
        "plane",
        "request_id",
        "response_bytes",
        "started",
        "status",
        "tunnel",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, client: Client, plan: RoutePlan, line: RequestLine, headers: RequestHeaders
    ) -> None:
        self.started = monotonic()
        # The request
        self.plane = plane
        self.client = client
        self.plan = plan
        self.line = line
        self.headers = headers
        self.request_id = headers.request_id or plane.request_id()
        self.is_head = line.resource.is_head
        self.body: list[bytes] | None = []  # as it goes on the wire; None once it cannot be sent again
        self.body_bytes = 0
        self.kept_bytes = 0  # of it, in the memory for another attempt
        self.body_complete = headers.control.length == 0
        self.expect = headers.control.expect and client.version == 1  # 100-continue, not answered yet
        # What policies make of it; `asked` is None where there are none
        self.asked: Asked | None = None
        self.gate: Gate | None = None  # that counts it as in flight
        self.forward = b""  # request line for the endpoint, if it is not `line.forward`
        self.mirroring: Mirroring | None = None  # it is still to be copied
        self.cancel_copy: Callable[[], None] | None = None  # the copy for a mirror may be under way
        self.deadline = 0.0  # of all attempts together; 0 until it is needed
        self.fallback_code = 0  # status that an error page is fetched for
        self.compressor: Compressor | None = None
        # The attempt in flight, and those before it
        self.choice: Choice | None = None
        self.endpoint: LiveEndpoint | None = None
        self.connection: UpstreamConnection | None = None
        self.failover: Failover | None = None
        self.first_cluster = ""
        # The response
        self.status = 0  # 0: nothing of it has been written
        self.response_bytes = 0
        self.chunked = False
        self.keep = False  # the client's connection goes on after it
        self.tunnel: Tunnel | None = None
        self.is_done = False

    def forget_body(self) -> None:
        """From here on the request cannot be sent again."""
        self.body = None
        self.plane.replay.give_back(self.kept_bytes)
        self.kept_bytes = 0

    def account(self, endpoint: LiveEndpoint | None, flag: str) -> None:
        """Count and log the request, once, when it is over; `endpoint` is the last that was tried."""
        self.is_done = True
        if self.gate is not None:
            self.gate.leave()
        if self.kept_bytes:
            self.forget_body()
        self.connection = None
        self.endpoint = None
        duration_s = monotonic() - self.started
        service, cluster = "", ""
        if endpoint is not None:
            service, cluster = endpoint.service, endpoint.cluster
        elif self.choice is not None:
            service = self.choice.service.id
        self.plan.counters.record(
            self.client.listener_name, service, cluster, self.status, flag, duration_s,
            self.body_bytes, self.response_bytes,
        )  # fmt: skip
        log = self.plane.log
        if log is not None:
            failover = self.failover
            log.request(
                self.line.resource.log, self.client.version, self.headers.control.log, self.status, flag,
                int(duration_s * 1_000_000.0), self.body_bytes, self.response_bytes, self.request_id,
                self.client.log, self.plan.log,
                endpoint.log if endpoint is not None else no_endpoint(service),
                failover.begun if failover is not None else 1,
                b"" if failover is None else failed_attempts(failover.trace, failover.suppressed),
                self.plane.version,
            )  # fmt: skip
