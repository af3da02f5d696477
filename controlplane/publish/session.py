"""One worker's connection to the control plane."""

import asyncio
import logging
from typing import Protocol

from proxy.model.channel import ChannelError, FromWorker, Hello, Stats, StatsJoiner, from_worker_framer

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who is told what a worker says."""

    def received(self, session: "Session", message: FromWorker) -> None: ...

    def closed(self, session: "Session") -> None: ...


class Session(asyncio.Protocol):
    """Cuts the stream into messages and remembers what this worker was sent and what it said."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._framer = from_worker_framer()
        self._joiner = StatsJoiner()
        self._transport: asyncio.WriteTransport | None = None
        self.hello: Hello | None = None
        self.feedable = True
        self.applied_version = 0
        self.refused_version = 0
        self.nack_reason = ""
        self.stats: Stats | None = None
        self.report_waiters: list[asyncio.Future[Stats]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for piece in self._framer.feed(data):
                message = self._joiner.whole(piece)
                if message is not None:
                    self._owner.received(self, message)
        except ChannelError as error:
            log.error("worker connection dropped", extra={"worker": self.name, "cause": str(error)})
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for waiter in self.report_waiters:
            waiter.cancel()
        self.report_waiters.clear()
        self._owner.closed(self)

    @property
    def name(self) -> str:
        return "?" if self.hello is None else f"{self.hello.worker} (pid {self.hello.pid})"

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def took_ack(self, version: int) -> None:
        self.applied_version = max(self.applied_version, version)
        self.nack_reason = ""

    def took_stats(self, stats: Stats) -> None:
        self.stats = stats
        self.applied_version = max(self.applied_version, stats.version)
        for waiter in self.report_waiters:
            if not waiter.done():
                waiter.set_result(stats)
        self.report_waiters.clear()
