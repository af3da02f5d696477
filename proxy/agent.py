"""A worker's end of the control channel: takes snapshots and endpoint changes, answers with ACK and stats.

The worker serves without the control plane: when that is gone the worker goes on with its last snapshot,
and looks for a new control plane twice a second.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from proxy.build import dataplane
from proxy.configuration import SnapshotChange
from proxy.dataplane import DataPlane
from proxy.downstream.listener import Listeners
from proxy.http2.errors import NAMES
from proxy.model.channel import (
    Ack,
    Apply,
    ChannelError,
    Drain,
    Ejection,
    Ejections,
    EndpointsChanged,
    FromWorker,
    Hello,
    Holds,
    LetBack,
    ListenerSocket,
    Nack,
    Part,
    Report,
    UseCertificates,
    UseSessionKey,
    UseTicketSecret,
    batches,
    encode,
    to_worker_framer,
)
from proxy.model.snapshot import SCHEMA, Service
from proxy.model.statistics import ConnectionCount, HandshakeCount, Http2ErrorCount, Stats, StatsPart
from proxy.pace import Pace
from proxy.routing.match import RouteError

log = logging.getLogger(__name__)

_UCRED: Final = struct.Struct("3i")
"""struct ucred of SO_PEERCRED: pid, user, group of the process at the other end"""

RECONNECT_S: Final = 0.5
TELL_AFTER_S: Final = 0.02
_READ_BYTES: Final = 1 << 16


class Agent:
    """Connects to the control plane, again and again, and follows its messages."""

    def __init__(
        self,
        worker: int,
        generation: str,
        plane: DataPlane,
        listeners: Listeners,
        on_drain: Callable[[float], None],
        fds: socket.socket | None,
    ) -> None:
        """`fds` is the non-blocking SOCK_SEQPACKET socket that listening sockets arrive on."""
        self._worker = worker
        self._generation = generation
        self._plane = plane
        self._listeners = listeners
        self._on_drain = on_drain
        self._fds = fds
        self._changes: list[SnapshotChange] = []  # received, not applied yet; the first one is being applied

    async def run(self, path: str) -> None:
        """Serve the control plane at the Unix socket `path` until cancelled."""
        while True:
            try:
                await self._serve_once(path)
            except ChannelError as error:
                log.error("control channel: %s", error)
            except OSError:
                pass  # not there, or gone: the data plane does not depend on it
            except Exception:
                # A defect of ours. A worker that stopped listening would serve old rules for ever
                log.exception("control channel: connected again after an unexpected error")
            await asyncio.sleep(RECONNECT_S)

    def _receive_sockets(self) -> None:
        """Take the listening sockets sent so far: the supervisor sends them before the snapshot."""
        while self._fds is not None:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._fds, 4096, 1)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:  # the supervisor is gone; its sockets stay ours
                self._fds.close()
                self._fds = None
                return
            where = msgspec.json.decode(data, type=ListenerSocket)
            for descriptor in descriptors:
                self._listeners.add_socket(where.address, where.port, socket.socket(fileno=descriptor))

    async def _serve_once(self, path: str) -> None:
        """Read, apply and report side by side: endpoints that change must not wait for all the routes."""
        reader, writer = await asyncio.open_unix_connection(path)
        _check_peer(writer)
        hello = Hello(self._worker, os.getpid(), SCHEMA, self._generation, self._plane.version, dataplane())
        writer.write(encode(hello))
        received: asyncio.Queue[SnapshotChange] = asyncio.Queue()
        asked = asyncio.Event()
        tasks = (
            asyncio.create_task(self._read(reader, writer, received, asked)),
            asyncio.create_task(self._apply_all(received, writer)),
            asyncio.create_task(self._report_all(asked, writer)),
            asyncio.create_task(self._tell_all(writer)),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._changes.clear()
            writer.close()

    async def _read(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: asyncio.Queue[SnapshotChange],
        asked: asyncio.Event,
    ) -> None:
        framer = to_worker_framer()
        parts: list[Part] = []
        while data := await reader.read(_READ_BYTES):
            pace = Pace()
            for message in framer.feed(data):
                if pace.is_over():
                    await pace.rest()
                match message:
                    case Part():
                        parts.append(message)
                    case Apply(snapshot):
                        change = SnapshotChange(snapshot, parts)
                        parts = []
                        self._changes.append(change)
                        received.put_nowait(change)
                    case EndpointsChanged(version, services):
                        await self._change_endpoints(version, services, pace)
                        writer.write(encode(Ack(self._plane.version)))
                    case Ejections(endpoints):
                        self._believe(endpoints)
                    case Holds(clusters):
                        self._plane.upstream.services.hold(clusters)
                    case UseSessionKey(key):
                        self._plane.upstream.services.session_key.use(key)
                    case UseCertificates(added, removed):
                        self._plane.contexts.use(added, removed)
                        self._plane.upstream.connector.tls.use(added, removed)
                    case UseTicketSecret(secret):
                        self._plane.contexts.use_ticket_secret(secret)
                    case LetBack(clusters):
                        self._plane.upstream.services.let_back(clusters)
                    case Report():
                        asked.set()
                    case Drain(grace_s):
                        self._on_drain(grace_s)

    async def _change_endpoints(self, version: int, services: tuple[Service, ...], pace: Pace) -> None:
        """Apply the endpoints at once, and again with every earlier snapshot that is not applied yet.

        The version may be of such a snapshot or newer: then it is reached when the snapshot is applied.
        """
        for change in self._changes:
            change.newer.update((service.id, service) for service in services)
        for service in services:
            for _ in self._plane.upstream.services.change_in_steps(service):
                if pace.is_over():
                    await pace.rest()
        waiting = [change for change in self._changes if change.snapshot.version <= version]
        if waiting:
            waiting[-1].version = max(waiting[-1].version, version)
        else:
            self._plane.version = max(self._plane.version, version)

    def _believe(self, ejections: tuple[Ejection, ...]) -> None:
        """Eject the endpoints at once; some may be in a snapshot that is not applied yet."""
        unknown = self._plane.upstream.believe(ejections)
        for change in self._changes:
            change.told += unknown

    async def _apply_all(self, received: asyncio.Queue[SnapshotChange], writer: asyncio.StreamWriter) -> None:
        """Apply one snapshot after the other, and answer each: the control plane waits for each answer."""
        while True:
            change = await received.get()
            answer = await self._apply(change)
            self._changes.remove(change)
            writer.write(encode(answer))
            if isinstance(answer, Ack) and self._plane.version > answer.version:
                writer.write(encode(Ack(self._plane.version)))

    async def _apply(self, change: SnapshotChange) -> FromWorker:
        version = change.snapshot.version
        try:
            await self._plane.apply(change)
        except (RouteError, ChannelError) as error:
            return Nack(version, str(error))
        self._receive_sockets()
        await self._listeners.apply(change.snapshot.listeners)
        # Endpoints may have come since the swap
        self._plane.version = max(self._plane.version, change.version)
        return Ack(version)

    async def _report_all(self, asked: asyncio.Event, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked.wait()
            asked.clear()
            pace = Pace()
            for part in self._stats_parts():
                writer.write(encode(part))
                if pace.is_over():
                    await pace.rest()
            writer.write(encode(self._stats()))
            await writer.drain()

    async def _tell_all(self, writer: asyncio.StreamWriter) -> None:
        """Tell the other workers of ejected endpoints and held-out clusters, several at a time.

        A held-out cluster can be told later, too: the hold lasts until an operator ends it.
        """
        news = asyncio.Event()
        ejections, failbacks = self._plane.upstream.ejections, self._plane.upstream.services.failbacks
        ejections.on_news = failbacks.on_news = news.set
        news.set()
        try:
            while True:
                await news.wait()
                await asyncio.sleep(TELL_AFTER_S)
                news.clear()
                ejected, held = ejections.take(), failbacks.take()
                if ejected:
                    writer.write(encode(Ejections(ejected)))
                if held:
                    writer.write(encode(Holds(held)))
                await writer.drain()
        finally:
            ejections.on_news = failbacks.on_news = None
            ejections.take()

    def _stats_parts(self) -> Iterator[StatsPart]:
        """Yield the statistics by route and by service; both may come and go between two parts."""
        for counters in batches(self._plane.counters.all(), lambda _: 1):
            yield StatsPart(
                requests=tuple(count for c in counters for count in c.requests()),
                durations=tuple(histogram for c in counters for histogram in c.durations()),
            )
        for services in batches(self._plane.upstream.services.all(), lambda service: 1 + service.size):
            yield StatsPart(
                endpoints=tuple(endpoint.stats() for service in services for endpoint in service.endpoints())
            )

    def _stats(self) -> Stats:
        """Return the statistics that belong to no route and no service."""
        plane = self._plane
        return Stats(
            version=plane.version,
            requests=(),
            durations=(),
            attempts=tuple(plane.upstream.attempts.counts()),
            endpoints=(),
            connections=tuple(
                ConnectionCount(
                    listener.name,
                    len(listener.connections),
                    listener.accepted,
                    listener.state.http2_connections,
                    listener.state.http2_streams,
                )
                for listener in self._listeners
            ),
            loop_lag_s=plane.wheel.take_lag(),
            log_lines_dropped=plane.log.dropped if plane.log is not None else 0,
            shed=self._listeners.admission.counts(),
            pauses=self._listeners.pauses(),
            mirrors=tuple(plane.counters.mirrors.counts()),
            breakers=tuple(plane.upstream.services.recovery.stats()),
            suppressed=tuple(plane.upstream.suppressed.counts()),
            failbacks=tuple(plane.upstream.services.failback_stats()),
            tasks=len(asyncio.all_tasks()),
            timers=plane.wheel.scheduled(),
            handshakes=tuple(
                HandshakeCount(listener.name, outcome, count)
                for listener in self._listeners
                for outcome, count in listener.state.handshakes.items()
            ),
            http2_errors=tuple(
                Http2ErrorCount(listener.name, scope, NAMES[code], count)
                for listener in self._listeners
                for (scope, code), count in listener.state.http2_errors.items()
            ),
            deferred=plane.backlog.deferred,
        )


def _check_peer(writer: asyncio.StreamWriter) -> None:
    """Believe only our user, and root. Raises ChannelError.

    A worker outlives its control plane, and the directory of the socket may not: another program may listen.
    """
    connected = writer.get_extra_info("socket")
    _, user, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if user not in (0, os.geteuid()):
        writer.close()
        raise ChannelError(f"its other end runs as uid {user}, this worker as uid {os.geteuid()}")
