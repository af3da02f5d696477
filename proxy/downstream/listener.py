"""Listeners of a worker: opened, changed and closed while requests flow."""

import asyncio
import logging
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from proxy.dataplane import DataPlane
from proxy.downstream.client import ClientConnection
from proxy.model import snapshot

log = logging.getLogger(__name__)

BACKLOG = 4096
IDLE_GRACE_S = 1.0  # an idle client may have a request on the way: it is answered, with close


class Listener:
    """One port. `connections` are its open client connections, whether still accepting or not."""

    def __init__(self, plane: DataPlane, config: snapshot.Listener) -> None:
        self.config = config
        self.name = config.name
        self.connections: set[ClientConnection] = set()
        self.accepted = 0
        self.is_closed = False
        self._plane = plane
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._accepting: set[asyncio.Task[Any]] = set()

    async def start(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._socket = sock
        self._server = await loop.create_server(self._connection, sock=sock, backlog=BACKLOG)

    def stop_accepting(self) -> None:
        """Close the socket. Who waits in its queue has been promised a connection: they are taken first."""
        if self._server is None or self._socket is None:
            return
        for accepted in _accept_all(self._socket):
            task = asyncio.ensure_future(
                asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted)
            )
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)
        self._server.close()
        self._server = None

    def close(self) -> None:
        """Stop accepting for good; what its clients have on the way is answered, with close."""
        self.is_closed = True
        self.stop_accepting()
        for connection in self.connections:
            connection.keep_alive = False
        asyncio.get_running_loop().call_later(IDLE_GRACE_S, self.close_idle)

    def close_idle(self) -> None:
        for connection in tuple(self.connections):
            connection.close_if_idle()

    @property
    def is_busy(self) -> bool:
        return bool(self.connections or self._accepting)

    def _connection(self) -> ClientConnection:
        return ClientConnection(self._plane, self)


def _accept_all(listening: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:  # BlockingIOError: the queue is empty
            return
        accepted.setblocking(False)
        yield accepted


class Listeners:
    """Keeps the open sockets in step with the listeners of the snapshot."""

    def __init__(self, plane: DataPlane, *, opens_sockets: bool) -> None:
        """`opens_sockets`: open what no supervisor sends."""
        self._plane = plane
        self._opens_sockets = opens_sockets
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._open: dict[tuple[str, int], Listener] = {}
        self._closing: list[Listener] = []

    def __iter__(self) -> Iterator[Listener]:
        return iter((*self._open.values(), *self._closing))

    def add_socket(self, address: str, port: int, sock: socket.socket) -> None:
        """Take a listening socket from the supervisor; used once the snapshot has the listener."""
        self._sockets[address, port] = sock

    async def apply(self, wanted: Iterable[snapshot.Listener]) -> None:
        """Open, update and close listeners. A port that cannot be opened is logged, not fatal."""
        by_key = {(listener.address, listener.port): listener for listener in wanted}
        for key in [k for k in self._open if k not in by_key]:
            self._close(self._open.pop(key))
        for key, config in by_key.items():
            listener = self._open.get(key)
            if listener is not None:
                listener.config = config
                continue
            sock = self._socket(key)
            if sock is not None:
                listener = Listener(self._plane, config)
                await listener.start(sock)
                self._open[key] = listener
        self._closing = [listener for listener in self._closing if listener.is_busy]

    def stop_accepting(self) -> None:
        for listener in self._open.values():
            listener.stop_accepting()

    def _close(self, listener: Listener) -> None:
        listener.close()
        if listener.is_busy:
            self._closing.append(listener)

    def _socket(self, key: tuple[str, int]) -> socket.socket | None:
        sock = self._sockets.pop(key, None)
        if sock is not None or not self._opens_sockets:
            return sock
        try:
            return open_socket(*key)
        except OSError as error:
            log.error("listener port=%d cannot be opened: %s", key[1], error.strerror)
            return None


def open_socket(address: str, port: int) -> socket.socket:
    """Return a listening socket that shares its port with other workers. Raises OSError."""
    family = socket.AF_INET if address and ":" not in address else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if address else 0)
        sock.setblocking(False)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
