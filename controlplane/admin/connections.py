"""Connections of the admin API: none may wait for its client for ever, nor keep others out.

uvicorn has a limit for idle connections only, and a single byte switches that off: a client that sends half
a head or half a body, or does not read its answer, would stay. Each gets so much time; when there are too
many, the one that has been waited for longest makes room, so that a probe of the kubelet always gets in.
"""

import asyncio
from enum import Enum, auto
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 256


class Waiting(Enum):
    """The part of an exchange that a connection waits for from its client."""

    REQUEST = auto()  # no byte of a request has come
    HEAD = auto()
    BODY = auto()
    READING = auto()  # the client has to take more of the answer
    NOTHING = auto()  # the request is being answered


PATIENCE_S: Final = {
    Waiting.REQUEST: 5.0,
    Waiting.HEAD: 10.0,  # from its first byte to its last
    Waiting.BODY: 30.0,
    Waiting.READING: 30.0,  # for each mebibyte
    Waiting.NOTHING: float("inf"),
}
_LOOK_S: Final = 1.0
_PROGRESS: Final = 1 << 20

_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 26\r\n\r\nthe request came too late\n"
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 21\r\n\r\ntoo many connections\n"
)


class AdminProtocol(H11Protocol):
    """One connection. Time is that of the event loop."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._state = Waiting.REQUEST
        self._since = self.loop.time()
        self._unread = 0
        self._watch: asyncio.TimerHandle | None = None
        if len(self.connections) > MAX_CONNECTIONS:
            _make_room(self)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def waited_s(self) -> float:
        """Return how long its client has been waited for; a negative number when it is not."""
        self._look_closer()
        return self.loop.time() - self._since if self._state is not Waiting.NOTHING else -1.0

    def end(self, answer: bytes) -> None:
        """Close it, with an answer if none has begun."""
        if self._state in (Waiting.HEAD, Waiting.BODY) and not self._has_answered():
            self.transport.write(answer)
            self.transport.close()
        else:
            self.transport.abort()

    def _look(self) -> None:
        """Find out what the connection waits for, and look again when the wait may have been too long."""
        if self._watch is not None:
            self._watch.cancel()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        self._look_closer()
        left = self._since + PATIENCE_S[self._state] - self.loop.time()
        self._watch = self.loop.call_later(min(max(left, 0.0), _LOOK_S), self._judge)

    def _judge(self) -> None:
        self._watch = None
        self._look_closer()
        if self.loop.time() - self._since >= PATIENCE_S[self._state]:
            self.end(_LATE)
        else:
            self._look()

    def _look_closer(self) -> None:
        state = self._waits_for()
        unread = self.transport.get_write_buffer_size()
        if state is not self._state or (state is Waiting.READING and unread <= self._unread - _PROGRESS):
            self._enter(state)
            self._unread = unread

    def _enter(self, state: Waiting) -> None:
        self._state, self._since = state, self.loop.time()

    def _waits_for(self) -> Waiting:
        if self.transport.get_write_buffer_size():
            return Waiting.READING
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return Waiting.BODY if cycle.more_body else Waiting.NOTHING
        return Waiting.HEAD if self.conn.trailing_data[0] else Waiting.REQUEST

    def _has_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete


def _make_room(newcomer: AdminProtocol) -> None:
    """Close the connection that has been waited for longest, or the newcomer when all are being answered."""
    others = (
        each for each in newcomer.connections if isinstance(each, AdminProtocol) and each is not newcomer
    )
    longest = max(others, key=AdminProtocol.waited_s)
    if longest.waited_s() >= 0:
        longest.end(_FULL)
    else:
        newcomer.transport.write(_FULL)
        newcomer.transport.close()
