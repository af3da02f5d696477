"""Listeners of a worker: opened, changed and closed while requests flow."""

import asyncio
import logging
import socket
from collections.abc import Coroutine, Iterable, Iterator, KeysView
from typing import Any, Final, cast

from proxy.careful import CarefulReader
from proxy.dataplane import DataPlane
from proxy.downstream.guards.accept_queue import BACKLOG, AcceptQueue
from proxy.downstream.guards.admission import Admission
from proxy.downstream.guards.descriptors import DescriptorBudget, DescriptorGuard
from proxy.downstream.guards.overload import OverloadGuard
from proxy.downstream.guards.refusal_log import RefusalLog
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.presence import keep_alive
from proxy.downstream.state import Client, ListenerState
from proxy.downstream.tls.transport import TlsTransport
from proxy.model import snapshot
from proxy.model.statistics import PauseCount

log = logging.getLogger(__name__)

ACCEPTS: Final = 32
"""Connections accepted at once, at 50 µs for each; the others in later turns of the loop."""
CLOSES: Final = 256
"""Connections closed at once, at 10 µs for each."""
IDLE_GRACE_S = 1.0  # an idle client may have a request on the way, which gets its response, with close


class Listener:
    """The sockets of one port. Its connections know it as its `state`."""

    def __init__(
        self,
        plane: DataPlane,
        admission: Admission,
        guard: DescriptorGuard,
        overload: OverloadGuard,
        config: snapshot.Listener,
    ) -> None:
        self.state = ListenerState(plane, admission, guard, overload, config)
        self._plane = plane
        self._guard = guard
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._queue: AcceptQueue | None = None
        self._is_paused = False
        self._is_stopping = False
        self._is_taking = False
        self._to_take = 0  # connections to accept in this turn of the loop and the next ones
        self._accepting: set[asyncio.Task[Any]] = set()

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def connections(self) -> KeysView[Client]:
        """The open client connections, whether the listener still accepts or not."""
        return self.state.connections.keys()

    @property
    def accepted(self) -> int:
        """Number of connections accepted so far."""
        return self.state.accepted

    async def start(self, sock: socket.socket, *, is_paused: bool) -> None:
        keep_alive(sock)
        self._socket = sock
        self._queue = AcceptQueue(sock)
        self._is_paused = is_paused
        if not is_paused:
            await self._serve()

    def pause(self) -> None:
        """Accept no more clients for now: they wait in the kernel's queue, and wake no worker up."""
        self._is_paused = True
        if self._server is not None:
            self._server.close()
            self._server = None

    def resume(self) -> None:
        self._is_paused = False
        self._start(self._serve())

    @property
    def queue(self) -> AcceptQueue | None:
        """The connections that wait to be accepted, None while none is to be."""
        return None if self._is_paused else self._queue

    def take(self, count: int) -> None:
        """Accept up to `count` connections, as far as there are descriptors for them."""
        self._to_take = max(count, 0)
        if not self._is_taking:
            self._take_some()

    def _take_some(self) -> None:
        """Accept the connections that are to be taken, some of them per turn of the loop."""
        for _ in range(min(self._to_take, ACCEPTS)):
            client = self._next()
            if client is None:
                self._to_take = 0
                break
            self._to_take -= 1
            self.admit(client)
        self._is_taking = self._to_take > 0
        if self._is_taking:
            asyncio.get_running_loop().call_soon(self._take_some)
        elif self._is_stopping:
            self._close_socket()

    def _next(self) -> socket.socket | None:
        """Return the connection that has waited longest, None when none waits or may come in now."""
        if self._queue is None:
            return None
        # The guard does not count connections yet that were accepted just now
        has_room = not self._is_paused and self._guard.room > len(self._accepting)
        return self._queue.accept() if has_room or self._is_stopping else None

    def admit(self, client: socket.socket) -> None:
        """Serve a connection that was accepted from the queue."""
        self._start(asyncio.get_running_loop().connect_accepted_socket(self._protocol, client))

    def count_shed(self, cause: str) -> None:
        self.state.count_shed(cause)

    def stop_accepting(self) -> None:
        """Close the socket. The clients in its queue have been promised a connection: they are served first.

        Others may come meanwhile. No more are accepted in all than the queue holds.
        """
        if self._is_stopping or self._socket is None:
            return
        self._is_stopping = True
        self.pause()
        self.take(BACKLOG)

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._queue = None

    def close(self) -> None:
        """Stop accepting for good. Requests that are on the way get their responses, with close."""
        self.state.is_closed = True
        self.stop_accepting()
        for connection in self.connections:
            connection.close_after_response()
        asyncio.get_running_loop().call_later(IDLE_GRACE_S, self.close_idle)

    def close_idle(self) -> None:
        """Close the connections without a request under way, some of them per turn of the loop."""
        self._close_some(iter(tuple(self.connections)))

    def _close_some(self, connections: Iterator[Client]) -> None:
        for number, connection in enumerate(connections, 1):
            connection.close_if_idle()
            if number == CLOSES:
                asyncio.get_running_loop().call_soon(self._close_some, connections)
                return

    @property
    def is_busy(self) -> bool:
        return bool(self.state.connections or self._accepting or self._queue)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _serve(self) -> None:
        if self._socket is None or self._is_paused or self._server is not None:
            return
        # A duplicate, because uvloop can stop accepting only by closing the socket
        self._take(
            await asyncio.get_running_loop().create_server(
                self._protocol, sock=self._socket.dup(), backlog=BACKLOG
            )
        )

    def _take(self, server: asyncio.Server) -> None:
        if self._socket is None or self._is_paused or self._server is not None:  # meanwhile
            server.close()
        else:
            self._server = server

    def _protocol(self) -> asyncio.Protocol:
        state = self.state
        connection = (
            ClientConnection(self._plane, state) if state.tls is None else TlsTransport(self._plane, state)
        )
        return cast(asyncio.Protocol, CarefulReader(connection, self._plane.backlog))


class Listeners:
    """Keeps the open sockets in step with the listeners of the snapshot."""

    def __init__(self, plane: DataPlane, budget: DescriptorBudget, *, opens_sockets: bool) -> None:
        """`opens_sockets`: the worker opens its sockets itself, without a supervisor that sends them."""
        self._plane = plane
        self.admission = Admission()
        self._guard = DescriptorGuard(plane, self.admission, budget, self)
        self._overload = OverloadGuard(plane, self.admission, self)
        self._refusals = RefusalLog(plane, self.admission)
        self._causes: set[str] = set()  # causes for which accepting is paused
        self._pauses: dict[str, int] = {}
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
        self.admission.limits = self._plane.config.limits
        self._overload.configure()
        self._refusals.start()
        by_key = {(listener.address, listener.port): listener for listener in wanted}
        for key in [k for k in self._open if k not in by_key]:
            self._close(self._open.pop(key))
        for key, config in by_key.items():
            listener = self._open.get(key)
            if listener is not None:
                listener.state.configure(config)
                continue
            sock = self._socket(key)
            if sock is not None:
                listener = Listener(self._plane, self.admission, self._guard, self._overload, config)
                await listener.start(sock, is_paused=bool(self._causes))
                self._open[key] = listener
        self._closing = [listener for listener in self._closing if listener.is_busy]

    def pause(self, cause: str) -> None:
        """Stop accepting on all listeners until `cause` is gone."""
        self._causes.add(cause)
        self._pauses[cause] = self._pauses.get(cause, 0) + 1
        for listener in self._open.values():
            listener.pause()

    def resume(self, cause: str) -> None:
        self._causes.discard(cause)
        if not self._causes:
            for listener in self._open.values():
                listener.resume()

    def clients(self) -> Iterator[Client]:
        for listener in self:
            yield from listener.connections

    def pauses(self) -> tuple[PauseCount, ...]:
        return tuple(PauseCount(cause, count) for cause, count in self._pauses.items())

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
