"""Opens the connections themselves: TCP, with or without TLS, one request at a time over HTTP/1."""

import asyncio
import errno
import ssl
from typing import Final, cast

from proxy.backlog import Backlog
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead
from proxy.model.tls import BackendTls
from proxy.timers import TimerWheel
from proxy.tls.client_contexts import ClientContexts
from proxy.tls.contexts import TlsError
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.h1.long_body import Buffers
from proxy.upstream.connections.h1.tls_connection import TlsConnection
from proxy.upstream.connections.h1.tls_transport import EndpointTransport
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure

CONNECT_TIMEOUT_S: Final = 1.2  # a SYN that was lost, or found a full queue, is sent again after 1 s

_LOCAL_ERRORS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN)
)


class TcpDialer:
    """The dialer of a worker: its connections share remembered response heads, and buffers."""

    __slots__ = ("_backlog", "_buffers", "_contexts", "_loop", "_memo", "_wheel")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: TimerWheel, backlog: Backlog, contexts: ClientContexts
    ) -> None:
        self._loop = loop
        self._wheel = wheel
        self._backlog = backlog
        self._contexts = contexts
        self._memo: Memo[ResponseHead] = Memo()
        self._buffers = Buffers()

    async def dial(self, endpoint: LiveEndpoint) -> UpstreamConnection | Failure:
        """Open a connection, or return why there is none, within CONNECT_TIMEOUT_S, TLS included."""
        tls = endpoint.home.tls
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if tls is None:
                    result = await self._connect(endpoint)
                else:
                    result = await self._connect_securely(endpoint, tls)
        except TimeoutError:
            return Failure.CONNECT_TIMEOUT
        except (ConnectionRefusedError, ConnectionResetError):  # the latter: by a listener that is closing
            return Failure.REFUSED
        except OSError as error:
            return Failure.LOCAL if error.errno in _LOCAL_ERRORS else Failure.UNREACHABLE
        if isinstance(result, UpstreamConnection) and result.transport.is_closing():
            return Failure.REFUSED  # accepted and closed in the same moment: nothing was sent
        return result

    async def _connect(self, endpoint: LiveEndpoint) -> UpstreamConnection | Failure:
        connection = UpstreamConnection(
            endpoint, endpoint.pool, self._wheel, self._memo, self._buffers, self._backlog
        )
        await self._open(endpoint, cast(asyncio.Protocol, connection))
        return connection

    async def _connect_securely(
        self, endpoint: LiveEndpoint, tls: BackendTls
    ) -> UpstreamConnection | Failure:
        """A certificate that is not here, or unusable, fails the attempt: nothing goes on without it."""
        connection = TlsConnection(
            endpoint, endpoint.pool, self._wheel, self._memo, self._buffers, self._backlog
        )
        read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            secured = self._contexts.wrap(tls, read, written)
        except TlsError:  # told by the contexts
            return Failure.TLS_CERTIFICATE
        transport = EndpointTransport(secured, read, written, connection, endpoint, self._loop, self._backlog)
        failure: Failure | None = Failure.CONNECT_TIMEOUT
        try:
            await self._open(endpoint, cast(asyncio.Protocol, transport))
            failure = await transport.shaken()
        finally:
            if failure is Failure.CONNECT_TIMEOUT:
                transport.abort()  # the wait was cut short
        if failure is None and transport.was_refused:  # right behind the handshake
            return Failure.TLS_CERTIFICATE
        return connection if failure is None else failure

    async def _open(self, endpoint: LiveEndpoint, protocol: asyncio.Protocol) -> None:
        await self._loop.create_connection(lambda: protocol, endpoint.address, endpoint.port)
