"""A pod that does everything wrong that a pod can do, each request something else, by a seeded die.

Every body it sends consists of the id of the request, over and over, and so must every body it gets:
a byte that belongs to somebody else shows wherever it ends up.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import cast

import h11

from tests.support import misdeeds
from tests.support.misdeeds import ACTS, FOR_HEAD
from tests.support.tokens import token


class FaultyPod:
    """Listens on the loopback. One that is calm answers everything at once and whole."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.is_calm = False
        self.address = ("127.0.0.1", 0)
        self.posts: Counter[str] = Counter()  # times each was acted on
        self.acts: Counter[str] = Counter()
        self.broken: list[str] = []  # what came and is not right
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FaultyPod":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), *self.address)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self.connections):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, pod: FaultyPod) -> None:
        self._pod = pod
        self._parser = h11.Connection(h11.SERVER)
        self._body = b""
        self._request: h11.Request | None = None
        self._is_answered = False
        self._is_tunnel = False
        self._is_deaf = False
        self.requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._pod.connections.add(self)
        if not self._pod.is_calm and self._pod.random.random() < 0.01:
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pod.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._is_tunnel:
            self._echo(data)
            return
        if self._is_deaf:
            return
        try:
            self._parser.receive_data(data)
            self._read()
        except h11.RemoteProtocolError as error:
            self._pod.broken.append(f"{error}: {data[:200]!r}")
            self.reset()

    def _read(self) -> None:
        while not self._is_deaf:
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._complete()
                return
            else:
                return

    def _begin(self, request: h11.Request) -> None:
        self._request, self._body, self._is_answered = request, b"", False
        self.requests += 1
        has_body = any(n in (b"content-length", b"transfer-encoding") for n, _ in request.headers)
        if has_body and not self._pod.is_calm and self._pod.random.random() < 0.05:
            self._answer_early()

    def _complete(self) -> None:
        request = self._request
        assert request is not None
        if self._parser.trailing_data[0]:
            self._pod.broken.append(f"sent before it was asked for: {self._parser.trailing_data[0][:200]!r}")
        identity = request.target.decode().rpartition("/")[2]
        if self._body.replace(token(identity), b""):
            self._pod.broken.append(f"body of {identity}: {self._body[:200]!r}")
        self._parser = h11.Connection(h11.SERVER)
        if self._is_answered:
            return
        if request.method == b"POST":
            self._pod.posts[identity] += 1
        if any(name == b"upgrade" for name, _ in request.headers):
            self._is_tunnel = True
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            return
        self._act(identity, is_head=request.method == b"HEAD")

    # Acts

    def reset(self) -> None:
        if not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _act(self, identity: str, *, is_head: bool) -> None:
        pod = self._pod
        name, act = ("whole", misdeeds.whole) if pod.is_calm else pod.random.choice(ACTS)
        if is_head and name not in FOR_HEAD:
            name, act = "head", misdeeds.head_only
        pod.acts[name] += 1
        act(self, identity)

    def _answer_early(self) -> None:
        """Answer a request of which the body is still coming, and read no more of it, or read on."""
        assert self._request is not None
        self._pod.acts["early"] += 1
        identity = self._request.target.decode().rpartition("/")[2]
        if self._request.method == b"POST":
            self._pod.posts[identity] += 1
        self._is_answered = True
        misdeeds.whole(self, identity)
        choice = self._pod.random.randrange(3)
        if choice == 0:
            self._is_deaf = True
            self.transport.pause_reading()
            self.later(0.5, self.transport.abort)
        elif choice == 1:
            self._is_deaf = True
            self.transport.close()

    def _echo(self, data: bytes) -> None:
        self.write(data)
        if self._pod.random.random() < 0.3:
            self.end()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    def end(self) -> None:
        if self._pod.random.random() < 0.5:
            self.reset()
        else:
            self.transport.close()

    def later(self, at_most_s: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(self._pod.random.uniform(0.0, at_most_s), work)

    def dice(self, faces: int) -> int:
        return self._pod.random.randrange(1, faces + 1)
