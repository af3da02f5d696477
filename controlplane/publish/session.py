"""One worker's connection to the control plane."""

import asyncio
import logging
import os
import socket
import struct
from typing import Protocol

from proxy.model.channel import (
    ChannelError,
    EndpointsChanged,
    FromWorker,
    Hello,
    StatsJoiner,
    encode,
    from_worker_framer,
)
from proxy.model.snapshot import Service
from proxy.model.statistics import Stats

log = logging.getLogger(__name__)

_UCRED = struct.Struct("3i")
"""struct ucred of SO_PEERCRED: pid, user, group of the process at the other end"""


class SessionObserver(Protocol):
    """The receiver of a worker's messages."""

    def received(self, session: "Session", message: FromWorker) -> None: ...

    def closed(self, session: "Session") -> None: ...


class Session(asyncio.Protocol):
    """Cuts the stream into messages, and remembers the messages to and from this worker."""

    def __init__(self, owner: SessionObserver) -> None:
        self._owner = owner
        self._framer = from_worker_framer()
        self._joiner = StatsJoiner()
        self._transport: asyncio.WriteTransport | None = None
        self.is_behind = False  # the worker does not read its messages
        self._unsent_good: bytes | None = None
        self._unsent_services: dict[str, Service] = {}  # newer than `_unsent_good`
        self._unsent_version: int | None = None
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
        data = transport.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size
        )
        _, user, _ = _UCRED.unpack(data)
        if user not in (0, os.geteuid()):
            log.error("worker connection dropped", extra={"worker": "?", "cause": f"it runs as uid {user}"})
            self.abort()

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

    @property
    def owes(self) -> bool:
        """Whether the worker has unread or unanswered messages."""
        return self.is_behind or bool(self.report_waiters)

    def pause_writing(self) -> None:
        self.is_behind = True

    def resume_writing(self) -> None:
        self.is_behind = False
        self._send_unsent()

    def send(self, data: bytes) -> None:
        """Send a message that does not depend on the messages that wait."""
        if self._transport is not None:
            self._transport.write(data)

    def send_trial(self, data: bytes) -> None:
        """Send an encoded snapshot after all that came before it."""
        self._send_unsent()
        self.send(data)

    def send_good(self, data: bytes) -> None:
        """Send an encoded snapshot that makes all earlier rules and endpoints obsolete.

        While the worker is behind, only the newest of these is kept for it.
        """
        if self.is_behind:
            self._unsent_good, self._unsent_version = data, None
            self._unsent_services.clear()
        else:
            self.send(data)

    def send_endpoints(self, message: EndpointsChanged, data: bytes) -> None:
        """Send changed endpoints, `data` being the encoded message.

        While the worker is behind, only the newest of each service are kept for it: control plane memory
        does not grow with the number of changes, and the worker does not go through those that are over.
        """
        if self.is_behind:
            self._unsent_services.update((service.id, service) for service in message.services)
            self._unsent_version = message.version
        else:
            self.send(data)

    def _send_unsent(self) -> None:
        good, self._unsent_good = self._unsent_good, None
        version, self._unsent_version = self._unsent_version, None
        services = tuple(self._unsent_services.values())
        self._unsent_services.clear()
        if good is not None:
            self.send(good)
        if version is not None:
            self.send(encode(EndpointsChanged(version, services)))

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
