"""The liveness probe: whether the program behind an endpoint still answers while requests wait for it.

The kernel of a stopped program accepts connections and acknowledges bytes, so a probe is a request:
`OPTIONS *`, which changes nothing. Every answer counts, a refusal as well, and so does the orderly end of a
new connection: programs that do not know the method hang up, and a stopped program cannot.
"""

from math import inf
from typing import Final

from proxy.clock import Clock
from proxy.upstream.connections.abandoned import LivenessRequest
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.suspects import outlive

APART_S: Final = 0.5  # time from the beginning of a probe of one endpoint to that of the next
BEGUN_S: Final = 0.001  # time after which a request that was sent has reached the program


class LivenessProbe:
    """One probe of one endpoint, kept until it is answered or its connection ends."""

    __slots__ = (
        "_at_random", "_before", "_clock", "_connector", "_endpoint", "_stream", "_was_idle", "asked",
        "is_over",
    )  # fmt: skip

    def __init__(
        self, endpoint: LiveEndpoint, connector: Connector, clock: Clock, *, at_random: bool
    ) -> None:
        """`at_random` unless the endpoint gave the occasion, by an act or by its silence."""
        self._at_random = at_random
        self._endpoint = endpoint
        self._connector = connector
        self._clock = clock
        self._stream: UpstreamStream | None = None
        # Send times of requests that waited when the probe was sent. Requests on new connections are left
        # out: a program that serves one connection at a time may not have begun with them
        self._before: list[tuple[UpstreamStream, float]] = []
        self._was_idle = False  # the endpoint had nothing else to do when it was asked
        self.asked = inf  # when the request was sent, monotonic
        self.is_over = False

    def start(self) -> None:
        """Ask over an idle connection, which a user's request would take as well, or else over a new one."""
        idle = self._endpoint.pool.checkout()
        if idle is not None:
            self._ask(idle)
        else:
            self._connector.connect_now(self._endpoint, self)

    def stop(self) -> None:
        stream = self._stream
        if not self.is_over and stream is not None:
            stream.abort()
        self.is_over = True

    def on_connected(self, stream: UpstreamStream) -> None:
        if self.is_over:
            self._connector.keep(stream)
        else:
            self._ask(stream)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.is_over = True  # a refusal comes from the kernel; too few descriptors or ports are our own fault

    def _ask(self, stream: UpstreamStream) -> None:
        self._stream = stream
        endpoint, self.asked = self._endpoint, self._clock.now()
        self._was_idle = not endpoint.in_flight
        self._before = [
            (c, c.since)
            for c in endpoint.pool.streams()
            if c is not stream and c.served and c.is_waiting() and c.since <= self.asked - BEGUN_S
        ]
        probe = LivenessRequest(stream, self._on_over, keep=not self._connector.is_extra(stream))
        probe.ask(endpoint.label, inf)

    def _on_over(self, is_answered: bool) -> None:
        self.is_over = True
        self._stream = None
        before, self._before = self._before, []
        if is_answered:
            endpoint, now = self._endpoint, self._clock.now()
            endpoint.heard = now
            outlive(endpoint, now)
            observed = endpoint.observed()
            observed.passed_over = 0
            observed.vouched_at = now
            waiting = [since for c, since in before if c.is_waiting() and c.since == since]
            took_s = max(now - self.asked - endpoint.limits.times.least_s, 0.0)
            observed.concurrency.probed(
                self.asked, now, took_s, waiting, was_idle=self._was_idle, at_random=self._at_random
            )
