"""Listeners of a worker: opened, changed and closed while requests flow."""

import asyncio
import logging
import socket
from collections.abc import Coroutine, Iterable, Iterator
from math import inf
from typing import Any, Final, cast

from proxy.careful import CarefulReader
from proxy.dataplane import DataPlane
from proxy.downstream.accept_queue import BACKLOG, AcceptQueue
from proxy.downstream.admission import CAUSES, WAITED, Admission
from proxy.downstream.client import ClientConnection
from proxy.downstream.descriptors import DescriptorBudget
from proxy.downstream.guard import DescriptorGuard
from proxy.downstream.overload import OverloadGuard
from proxy.downstream.presence import keep_alive
from proxy.downstream.refusals import RefusalLog
from proxy.model import snapshot
from proxy.model.channel import PauseCount
from proxy.policies.access import AccessList

log = logging.getLogger(__name__)

ACCEPTS: Final = 32
"""Connections accepted at once, at 50 µs for each; the others in later turns of the loop."""
CLOSES: Final = 256
"""Connections closed at once, at 10 µs for each."""
IDLE_GRACE_S = 1.0  # an idle client may have a request on the way: it is answered, with close


class Listener:
    """One port. `connections` are its open client connections, whether still accepting or not."""

    def __init__(
        self,
        plane: DataPlane,
        admission: Admission,
        guard: DescriptorGuard,
        overload: OverloadGuard,
        config: snapshot.Listener,
    ) -> None:
        self.name = config.name
        self.connections: set[ClientConnection] = set()
        self._config = config
        self._plane = plane
        self._mark = plane.mark
        self.configure(config)
        self.accepted = 0
        self.is_closed = False
        self.overload = overload
        self._admission = admission
        self._guard = guard
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._queue: AcceptQueue | None = None
        self._is_paused = False
        self._is_stopping = False
        self._is_taking = False
        self._to_take = 0  # connections, in this turn of the loop and those that follow
        self._accepting: set[asyncio.Task[Any]] = set()

    def configure(self, config: snapshot.Listener) -> None:
        """Take what may change while connections are open; it is read for every request."""
        self.port = config.port
        self.idle_timeout_s = config.idle_timeout_s
        self.response_timeout_s = config.response_timeout_s or inf
        self.access = AccessList(config.access) if config.access is not None else None
        self.forwarded = config.forwarded
        self.gzip = config.gzip
        before, self._config = self._config, config
        mark, self._mark = self._mark, self._plane.mark
        if _told_of(before) != _told_of(config) or mark != self._mark:
            for connection in self.connections:
                connection.introduce()

    async def start(self, sock: socket.socket, *, is_paused: bool) -> None:
        keep_alive(sock)
        self._socket = sock
        self._queue = AcceptQueue(sock)
        self._is_paused = is_paused
        if not is_paused:
            await self._serve()

    def pause(self) -> None:
        """Take no more clients for now: they wait in the kernel's queue, and nobody is woken for them."""
        self._is_paused = True
        if self._server is not None:
            self._server.close()
            self._server = None

    def resume(self) -> None:
        self._is_paused = False
        self._start(self._serve())

    @property
    def queue(self) -> AcceptQueue | None:
        """Who waits to be accepted, None when that is not to happen now."""
        return None if self._is_paused else self._queue

    def enter(self, connection: ClientConnection, address: bytes) -> str:
        """Count a new connection; return why it may not stay, "" when it may."""
        admission = self._admission
        self.connections.add(connection)
        self.accepted += 1
        admission.enter()
        group = b"" if self._plane.trusted.trusts(address) else admission.group(address)
        cause = admission.refusal(group)
        if cause:
            admission.count(self.name, cause)
        else:
            admission.admit(group)
            connection.address_group = group
            connection.is_admitted = True
        self._guard.check()
        return CAUSES[cause] if cause else ""

    def take(self, count: int) -> None:
        """Accept so many connections, as far as there are descriptors for them."""
        self._to_take = max(count, 0)
        if not self._is_taking:
            self._take_some()

    def _take_some(self) -> None:
        """Accept those that are to be taken, some of them per turn of the loop."""
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
        """Return who has waited longest, None when nobody waits or may come in now."""
        if self._queue is None:
            return None
        # The guard does not count connections yet that were accepted just now
        has_room = not self._is_paused and self._guard.room > len(self._accepting)
        return self._queue.accept() if has_room or self._is_stopping else None

    def admit(self, client: socket.socket) -> None:
        """Take a connection that was accepted otherwise."""
        self._start(asyncio.get_running_loop().connect_accepted_socket(self._protocol, client))

    def leave(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        self._admission.leave(connection.address_group, was_admitted=connection.is_admitted)

    def count_shed(self, cause: str) -> None:
        self._admission.count(self.name, cause)

    def count_stale(self) -> None:
        """A request had waited too long."""
        self._plane.local.record(self.name, "", "", 503, "OM", 0.0, 0, 0)
        self._admission.refuse(self.name, WAITED)

    @property
    def is_crowded(self) -> bool:
        return self._admission.is_crowded

    def stop_accepting(self) -> None:
        """Close the socket. Who waits in its queue has been promised a connection: they are taken first.

        Others may come meanwhile; no more than the queue holds are taken in all.
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
        """Stop accepting for good; what its clients have on the way is answered, with close."""
        self.is_closed = True
        self.stop_accepting()
        for connection in self.connections:
            connection.keep_alive = False
        asyncio.get_running_loop().call_later(IDLE_GRACE_S, self.close_idle)

    def close_idle(self) -> None:
        """Close the connections that no request is in flight on, some of them per turn of the loop."""
        self._close_some(iter(tuple(self.connections)))

    def _close_some(self, connections: Iterator[ClientConnection]) -> None:
        for number, connection in enumerate(connections, 1):
            connection.close_if_idle()
            if number == CLOSES:
                asyncio.get_running_loop().call_soon(self._close_some, connections)
                return

    @property
    def is_busy(self) -> bool:
        return bool(self.connections or self._accepting or self._queue)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _serve(self) -> None:
        if self._socket is None or self._is_paused or self._server is not None:
            return
        # A duplicate, because uvloop can stop accepting only by closing what it accepts from
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
        connection = ClientConnection(self._plane, self)
        return cast(asyncio.Protocol, CarefulReader(connection, self._plane.backlog))


def _told_of(config: snapshot.Listener) -> tuple[object, ...]:
    """Return what connections tell of their listener."""
    return config.forwarded, config.gzip, config.response_timeout_s


class Listeners:
    """Keeps the open sockets in step with the listeners of the snapshot."""

    def __init__(self, plane: DataPlane, budget: DescriptorBudget, *, opens_sockets: bool) -> None:
        """`opens_sockets`: open what no supervisor sends."""
        self._plane = plane
        self.admission = Admission()
        self._guard = DescriptorGuard(plane, self.admission, budget, self)
        self._overload = OverloadGuard(plane, self.admission, self)
        self._refusals = RefusalLog(plane, self.admission)
        self._causes: set[str] = set()  # for which accepting is paused
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
        self.admission.limits = self._plane.limits
        self._overload.configure()
        self._refusals.start()
        by_key = {(listener.address, listener.port): listener for listener in wanted}
        for key in [k for k in self._open if k not in by_key]:
            self._close(self._open.pop(key))
        for key, config in by_key.items():
            listener = self._open.get(key)
            if listener is not None:
                listener.configure(config)
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

    def clients(self) -> Iterator[ClientConnection]:
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
