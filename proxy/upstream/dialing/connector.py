"""Opens connections to endpoints, within the limits of their clusters."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

from proxy.backlog import Backlog
from proxy.model.limits import Limits
from proxy.timers import TimerWheel
from proxy.tls.client_contexts import ClientContexts
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.dialer import TcpDialer
from proxy.upstream.dialing.hedge import HedgedConnect, Opener, Waiter
from proxy.upstream.dialing.pending import PENDING_S, PendingConnect, Requester
from proxy.upstream.endpoint import LiveEndpoint, State, endpoint_of
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services


class Connector(Opener):
    """The connector of a worker. Every task that it starts has a deadline."""

    __slots__ = (
        "_backlog", "_dialer", "_loop", "_services", "_tasks", "_wheel", "limits", "on_unreachable",
        "tls",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: TimerWheel, backlog: Backlog, services: Services
    ) -> None:
        self._loop = loop
        self._wheel = wheel
        self._services = services
        self.clock = services.clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog = backlog
        self.tls = ClientContexts()
        self._dialer = TcpDialer(loop, wheel, backlog, self.tls)
        self.limits = Limits()
        # Called with an ejected endpoint once its connects get no answer any more
        self.on_unreachable: Callable[[LiveEndpoint], None] | None = None

    def obtain(self, endpoint: LiveEndpoint, requester: Requester) -> None:
        """Get a connection for a request: a new one, or, at the limit, one that becomes free."""
        if self.has_capacity(endpoint):
            HedgedConnect(self, requester).start(endpoint)
            return
        cluster, limits = self._services.cluster_of(endpoint), endpoint.limits
        spare = cluster.spare() if cluster is not None else None
        if spare is not None:
            requester.on_connected(spare)
        elif limits.admits(self.limits.max_upstream_pending):
            pending = PendingConnect(limits, endpoint, requester, self._resume)
            limits.waiting.append(pending)
            self._wheel.schedule(pending, self._wheel.now + PENDING_S)
        else:
            requester.on_connect_failed(endpoint, Failure.OVERFLOW)

    def has_capacity(self, endpoint: LiveEndpoint) -> bool:
        return endpoint.limits.taken < self.limits.max_upstream_connections

    def is_extra(self, stream: UpstreamStream) -> bool:
        """Whether the connection exceeds the limit: probes are sent even so, but no request may use it."""
        return endpoint_of(stream).limits.taken > self.limits.max_upstream_connections

    def keep(self, stream: UpstreamStream) -> None:
        """Put a connection that was opened for a probe into the pool, if it may be there."""
        if self.is_extra(stream):
            stream.close()
        else:
            stream.give_back()

    def connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        """Open a connection for `waiter`, which is told of the outcome later on.

        Where this turn of the loop has lasted for long enough, the connect begins in a later one.
        """
        endpoint.limits.begin()
        self._backlog.do(partial(self._begin, endpoint, waiter), endpoint)

    def connect_now(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        """Open a connection for a probe at once: the time until the probe is answered is evidence."""
        endpoint.limits.begin()
        self._begin(endpoint, waiter)

    def later(self, delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(delay_s, work)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run a task that ends with the connector."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, endpoint: LiveEndpoint) -> UpstreamStream | Failure:
        """Open a connection that `endpoint.limits` counts as begun."""
        limits, started = endpoint.limits, self.clock.now()
        try:
            result = await self._dialer.dial(endpoint)
        finally:
            limits.end()
        now = self.clock.now()
        if isinstance(result, Failure):
            limits.refill()
            self._note_failure(endpoint, result, started, now)
            return result
        limits.times.learn(now - started)
        cluster = self._services.cluster_of(endpoint)
        if cluster is not None:
            cluster.reached(endpoint, now)
        return result

    def _begin(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        self.start(self._connect(endpoint, waiter))

    def _resume(self, pending: PendingConnect) -> None:
        """Open the connection of a request that waited: the limit leaves room for it."""
        if pending.endpoint.state is State.RETIRED:  # its address may be another pod's by now
            pending.requester.on_connect_failed(pending.endpoint, Failure.OVERFLOW)
        elif self.has_capacity(pending.endpoint):
            self.obtain(pending.endpoint, pending.requester)
        else:  # the closed connection was a probe's, above the limit: the request waits on
            pending.wait_on()

    async def _connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        result = await self.open(endpoint)
        if isinstance(result, Failure):
            waiter.on_connect_failed(endpoint, result)
        else:
            waiter.on_connected(result)

    def _note_failure(self, endpoint: LiveEndpoint, failure: Failure, started: float, now: float) -> None:
        cluster = self._services.cluster_of(endpoint)
        if cluster is None or failure is Failure.LOCAL:
            return
        if failure is not Failure.CONNECT_TIMEOUT:
            cluster.responded(endpoint, now)
        elif cluster.unanswered(endpoint, started) and self.on_unreachable is not None:
            self.on_unreachable(endpoint)
