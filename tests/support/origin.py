"""A programmable endpoint: records what it gets, byte for byte, and answers as it is told."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

import h11

Answer = Callable[["Connection", h11.Request], bytes | None]
"""What to send once a request is complete; None: close without an answer."""


def ok(_connection: "Connection", request: h11.Request) -> bytes:
    body = b"" if request.method == b"HEAD" else request.target
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (
        len(request.target),
        body,
    )


_PROBE = re.compile(rb"OPTIONS \* HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n")


class Connection(asyncio.Protocol):
    """One connection to the origin, parsed by h11: a second opinion on everything the gateway sends."""

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._parser = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""
        self.transport: asyncio.Transport | None = None
        self.received = b""
        self.broken = False
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no base class
        self._origin.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        try:
            self._parser.receive_data(data)
            self._events()
        except h11.RemoteProtocolError:
            self.broken = True
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    def reset(self) -> None:
        """RST instead of FIN, as from a program that aborts."""
        assert self.transport is not None
        if not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _events(self) -> None:
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                self._body = b""
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                self._complete(self._request)
                return
            else:
                return

    def _complete(self, request: h11.Request) -> None:
        rest = self._parser.trailing_data[0]
        self._parser = h11.Connection(h11.SERVER)
        if request.target == b"*":
            self._origin.probes.append(request)
            answer = self._origin.answer_probe(self, request)
        else:
            self._origin.requests.append((request, self._body))
            answer = self._origin.answer(self, request)
        assert self.transport is not None
        if answer is None:
            self.transport.close()
        else:
            self.transport.write(answer)
        self._origin.answered.set()
        if rest:
            self.data_received(rest)


class Origin:
    """A server on the loopback, on a free port unless `port` is given."""

    def __init__(
        self,
        answer: Answer = ok,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.answer_probe: Answer = ok  # to the liveness probe, `OPTIONS *`
        self.probes: list[h11.Request] = []
        self.host = host
        self.requests: list[tuple[h11.Request, bytes]] = []
        self.connections: list[Connection] = []
        self.answered = asyncio.Event()
        self.port = port
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those it listens on."""
        assert self._server is not None
        return tuple(self._server.sockets)

    @property
    def received(self) -> bytes:
        """Return what came, without the probes of a gateway that found this endpoint silent."""
        return b"".join(_PROBE.sub(b"", connection.received) for connection in self.connections)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self) -> None:
        """Listen; on the same port as before, if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self.host, self.port, ssl=self._tls, backlog=4096
        )  # a smaller queue loses connects of many clients at once
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse new connections and cut the open ones, as a killed process does."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.reset()

    def leave(self) -> None:
        """Refuse new connections and end the open ones in order, as a program that is told to stop."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.close()

    def forget(self) -> None:
        """Start recording anew; open connections stay."""
        self.requests.clear()
        for connection in self.connections:
            connection.received = b""


def header(request: h11.Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.headers if key == name]
