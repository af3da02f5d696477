"""Requests that wait for one of a limited number of connections."""

import asyncio

from msgspec.structs import replace

from proxy.backlog import Backlog
from proxy.timers import TimerWheel
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.dialing.pending import PENDING_S, Hedging, PendingConnect
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services
from tests.support.snapshots import service


class Waiter:
    """A request without anything but its wait."""

    def __init__(self) -> None:
        self.is_done = False
        self.failure: Failure | None = None

    def on_connected(self, stream: UpstreamStream) -> None:
        raise AssertionError("there is no room")

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.failure = failure

    @property
    def hedging(self) -> Hedging | None:
        return None


async def test_a_probe_above_the_limit_that_ends_prolongs_no_wait() -> None:
    services = Services()
    services.change(service({"c1": [("127.0.0.1", 1)]}))
    (endpoint,) = services.endpoints()
    wheel = TimerWheel(asyncio.get_running_loop())
    connector = Connector(
        asyncio.get_running_loop(), wheel, Backlog(asyncio.get_running_loop(), wheel.clock), services
    )
    connector.limits = replace(connector.limits, max_upstream_connections=1)
    endpoint.limits.opened()
    waiter = Waiter()
    connector.obtain(endpoint, waiter)
    (pending,) = endpoint.limits.waiting
    assert isinstance(pending, PendingConnect)
    endpoint.limits.opened()
    endpoint.limits.closed()
    assert list(endpoint.limits.waiting) == [pending]
    pending.expire(wheel.now + PENDING_S)
    assert waiter.failure is Failure.OVERFLOW
