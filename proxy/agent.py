"""A worker's end of the control channel: takes snapshots and endpoint changes, answers with ACK and stats.

The worker needs none of it to serve: when the control plane is gone it goes on with what it has and
looks for a new one twice a second.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from proxy.dataplane import DataPlane
from proxy.downstream.listener import Listeners
from proxy.model.channel import (
    Ack,
    Apply,
    ChannelError,
    ConnectionCount,
    Drain,
    EndpointsChanged,
    FromWorker,
    Hello,
    ListenerSocket,
    Nack,
    Report,
    Stats,
    ToWorker,
    encode,
    to_worker_framer,
)
from proxy.model.snapshot import SCHEMA, Snapshot
from proxy.routing.match import RouteError

log = logging.getLogger(__name__)

RECONNECT_S: Final = 0.5
_READ_BYTES: Final = 1 << 20


class Agent:
    """Connects to the control plane, again and again, and does what it says."""

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

    async def run(self, path: str) -> None:
        """Serve the control plane at the Unix socket `path` until cancelled."""
        while True:
            try:
                await self._serve_once(path)
            except ChannelError as error:
                log.error("control channel: %s", error)
            except OSError:
                pass  # not there, or gone: the data plane does not depend on it
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
            if not data:  # the supervisor is gone; what it sent stays ours
                self._fds.close()
                self._fds = None
                return
            where = msgspec.json.decode(data, type=ListenerSocket)
            for descriptor in descriptors:
                self._listeners.add_socket(where.address, where.port, socket.socket(fileno=descriptor))

    async def _serve_once(self, path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        framer = to_worker_framer()
        try:
            hello = Hello(self._worker, os.getpid(), SCHEMA, self._generation, self._plane.snapshot.version)
            writer.write(encode(hello))
            while data := await reader.read(_READ_BYTES):
                for message in framer.feed(data):
                    answer = await self._handle(message)
                    if answer is not None:
                        writer.write(encode(answer))
                await writer.drain()
        finally:
            writer.close()

    async def _handle(self, message: ToWorker) -> FromWorker | None:
        match message:
            case Apply(snapshot):
                return await self._apply(snapshot)
            case EndpointsChanged(_, services):
                self._plane.change_endpoints(services)
            case Report():
                return self.stats()
            case Drain(grace_s):
                self._on_drain(grace_s)
        return None

    async def _apply(self, snapshot: Snapshot) -> FromWorker:
        try:
            self._plane.apply(snapshot)
        except RouteError as error:
            return Nack(snapshot.version, str(error))
        self._receive_sockets()
        await self._listeners.apply(snapshot.listeners)
        return Ack(snapshot.version)

    def stats(self) -> Stats:
        plane = self._plane
        counters = plane.counters()
        return Stats(
            worker=self._worker,
            pid=os.getpid(),
            version=plane.snapshot.version,
            requests=tuple(count for c in counters for count in c.requests()),
            durations=tuple(histogram for c in counters for histogram in c.durations()),
            attempts=tuple(plane.attempts.counts()),
            endpoints=tuple(endpoint.stats() for endpoint in plane.services.endpoints()),
            connections=tuple(
                ConnectionCount(listener.name, len(listener.connections), listener.accepted)
                for listener in self._listeners
            ),
            loop_lag_s=plane.wheel.take_lag(),
            log_lines_dropped=plane.log.dropped if plane.log is not None else 0,
        )
