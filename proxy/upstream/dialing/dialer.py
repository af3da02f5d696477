"""Opens the connections themselves: TCP, one request at a time over HTTP/1."""

import asyncio
import errno
from collections.abc import Callable
from typing import Final, cast

from proxy.backlog import Backlog
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead
from proxy.timers import TimerWheel
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.h1.long_body import Buffers
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure

CONNECT_TIMEOUT_S: Final = 1.2  # a SYN that was lost, or found a full queue, is sent again after 1 s

_LOCAL_ERRORS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN)
)


class TcpDialer:
    """The dialer of a worker: its connections share remembered response heads, and buffers."""

    __slots__ = ("_backlog", "_buffers", "_loop", "_memo", "_wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: TimerWheel, backlog: Backlog) -> None:
        self._loop = loop
        self._wheel = wheel
        self._backlog = backlog
        self._memo: Memo[ResponseHead] = Memo()
        self._buffers = Buffers()

    async def dial(self, endpoint: LiveEndpoint) -> UpstreamConnection | Failure:
        """Open a connection, or return why there is none, within CONNECT_TIMEOUT_S."""
        connection = UpstreamConnection(
            endpoint, endpoint.pool, self._wheel, self._memo, self._buffers, self._backlog
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._loop.create_connection(
                    cast(Callable[[], asyncio.Protocol], lambda: connection), endpoint.address, endpoint.port
                )
        except TimeoutError:
            return Failure.CONNECT_TIMEOUT
        except (ConnectionRefusedError, ConnectionResetError):  # the latter: by a listener that is closing
            return Failure.REFUSED
        except OSError as error:
            return Failure.LOCAL if error.errno in _LOCAL_ERRORS else Failure.UNREACHABLE
        if connection.transport.is_closing():
            return Failure.REFUSED  # accepted and closed in the same moment: nothing was sent
        return connection
