"""What the kernel is told about every connection to an endpoint."""

import asyncio
import socket

from proxy.backlog import Backlog
from proxy.timers import TimerWheel
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services
from tests.support.origin import Origin
from tests.support.snapshots import service
from tests.upstream.test_backends import BASE


class Waiting:
    def __init__(self) -> None:
        self.connection: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()

    def on_connected(self, stream: UpstreamStream) -> None:
        assert isinstance(stream, UpstreamConnection)
        self.connection.set_result(stream)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.connection.set_exception(ConnectionError(failure.value))


async def test_vanished_peers_are_found_on_idle_and_on_busy_connections() -> None:
    loop = asyncio.get_running_loop()
    services = Services()
    async with Origin() as origin:
        services.change(service({"c1": [origin.address]}, BASE))
        (endpoint,) = services.endpoints()
        waiting = Waiting()
        wheel = TimerWheel(loop)
        connector = Connector(loop, wheel, Backlog(loop, wheel.clock), services)
        connector.connect(endpoint, waiting)
        connection = await asyncio.wait_for(waiting.connection, 5)
        found = connection.transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        connection.close()
        await connector.close()
