"""Opens connections to endpoints and probes those whose breaker is open."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from functools import partial
from random import uniform
from time import monotonic
from typing import Final, Protocol, cast

from proxy.backlog import Backlog
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead
from proxy.model.limits import Limits
from proxy.timers import TimerWheel
from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.connections.hedge import HedgedConnect
from proxy.upstream.connections.long_body import Buffers
from proxy.upstream.connections.room import PENDING_S, Pending, Requester
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.health.silence import Suspect, Suspicion
from proxy.upstream.health.witness import Question
from proxy.upstream.retries.retry import Failure

CONNECT_TIMEOUT_S: Final = 1.2  # a SYN that was lost, or found a full queue, is sent again after 1 s
ANSWER_S: Final = 1.0  # for an endpoint that has stalled to say something

_LOCAL_ERRORS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN)
)


class Waiter(Protocol):
    """Who asked for a connection."""

    def on_connected(self, connection: UpstreamConnection) -> None: ...

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None: ...


class Connector:
    """One per worker. Every task it starts has a deadline."""

    __slots__ = (
        "_buffers", "_loop", "_probes", "_tasks", "_wheel", "backlog", "limits", "memo", "suspicions",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: TimerWheel) -> None:
        self._loop = loop
        self._wheel = wheel
        self._tasks: set[asyncio.Task[None]] = set()
        self._probes: dict[LiveEndpoint, asyncio.TimerHandle] = {}  # the next one of each ejected endpoint
        self.memo: Memo[ResponseHead] = Memo()
        self.backlog = Backlog(loop)
        self._buffers = Buffers()
        self.limits = Limits()
        self.suspicions: dict[LiveEndpoint, Suspicion] = {}

    def obtain(self, endpoint: LiveEndpoint, requester: Requester) -> None:
        """Get a connection for a request: a new one, or one that becomes free where there is no room."""
        room = endpoint.room
        if self.has_room(endpoint):
            HedgedConnect(self, requester).start(endpoint)
            return
        spare = endpoint.group.spare()
        if spare is not None:
            requester.on_connected(spare)
        elif room.admits(self.limits.max_upstream_pending):
            pending = Pending(room, endpoint, requester, self._resume)
            room.waiting.append(pending)
            self._wheel.schedule(pending, self._wheel.now + PENDING_S)
        else:
            requester.on_connect_failed(endpoint, Failure.OVERFLOW)

    def has_room(self, endpoint: LiveEndpoint) -> bool:
        """Whether one more connection may be opened to it."""
        return endpoint.room.taken < self.limits.max_upstream_connections

    def is_extra(self, connection: UpstreamConnection) -> bool:
        """Whether it is one more than there may be: probes are asked even so, but no request may use it."""
        return connection.endpoint.room.taken > self.limits.max_upstream_connections

    def keep(self, connection: UpstreamConnection) -> None:
        """Put a connection that was opened to find something out into the pool, if it may be there."""
        if self.is_extra(connection):
            connection.close()
        else:
            connection.endpoint.release(connection)

    def connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        """Open a connection for `waiter`; it hears of it, or why not, later on.

        Where this turn of the loop has lasted for long enough, it begins in a later one.
        """
        endpoint.room.begin()
        self.backlog.do(partial(self._begin, endpoint, waiter), endpoint)

    def connect_now(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        """The same for a probe, of which the time until it is answered is evidence."""
        endpoint.room.begin()
        self._begin(endpoint, waiter)

    def _begin(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        self._start(self._connect(endpoint, waiter))

    def suspect(self, endpoint: LiveEndpoint, suspect: Suspect) -> None:
        """Find out, for a request that gets no sign of life, whether the machine of `endpoint` is gone."""
        suspicion = self.suspicions.get(endpoint)
        if suspicion is None:
            suspicion = self.suspicions[endpoint] = Suspicion(self, endpoint)
            suspicion.start()
        suspicion.add(suspect)

    def later(self, delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(delay_s, work)

    def probe_after(self, endpoint: LiveEndpoint, delay_s: float) -> None:
        """Find out in the background, not with a user's request, whether an ejected endpoint is back.

        What was said before of the next probe does not count any more.
        """
        planned = self._probes.get(endpoint)
        if planned is not None:
            planned.cancel()
        # Jittered, so that a fleet of workers does not come back to it in one instant
        delay_s *= uniform(0.9, 1.1)
        self._probes[endpoint] = self._loop.call_later(delay_s, self._probe, endpoint)

    async def close(self) -> None:
        for probe in self._probes.values():
            probe.cancel()
        self._probes.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _probe(self, endpoint: LiveEndpoint) -> None:
        self._probes.pop(endpoint, None)
        if endpoint.state is State.EJECTED:
            endpoint.room.begin()
            self._start(self._run_probe(endpoint))

    def _resume(self, pending: Pending) -> None:
        """There is room again for a request that waited."""
        if pending.endpoint.state is State.RETIRED:  # its address may be another pod's by now
            pending.requester.on_connect_failed(pending.endpoint, Failure.OVERFLOW)
        elif self.has_room(pending.endpoint):
            self.obtain(pending.endpoint, pending.requester)
        else:  # what has gone was above the limit, a probe: the request waits on, and no longer than before
            pending.room.waiting.appendleft(pending)

    async def _connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        result = await self._open(endpoint)
        if isinstance(result, Failure):
            waiter.on_connect_failed(endpoint, result)
        else:
            waiter.on_connected(result)

    async def _run_probe(self, endpoint: LiveEndpoint) -> None:
        result = await self._open(endpoint)
        if isinstance(result, Failure):
            is_back = False
        elif endpoint.must_answer:
            is_back = await self._answers(result)
        else:
            self.keep(result)
            is_back = True
        if endpoint.state is not State.EJECTED:
            return
        if is_back:
            endpoint.readmit()
        else:
            self.probe_after(endpoint, endpoint.longer_ejection())

    async def _answers(self, connection: UpstreamConnection) -> bool:
        """Whether the endpoint answers a request: connects are accepted for it by its kernel."""
        is_answered: asyncio.Future[bool] = self._loop.create_future()
        Question(connection, partial(_answer, is_answered)).ask(self._wheel.now + ANSWER_S)
        return await is_answered

    async def _open(self, endpoint: LiveEndpoint) -> UpstreamConnection | Failure:
        """Open a connection that its room knows of."""
        room = endpoint.room
        started = monotonic()
        try:
            result = await self._try_open(endpoint)
        finally:
            room.end()
        now = monotonic()
        if not isinstance(result, Failure):
            room.times.learn(now - started)
            endpoint.reached(now)
            return result
        room.refill()
        if result is Failure.CONNECT_TIMEOUT:
            if endpoint.unanswered(started):
                self.probe_after(endpoint, 0.0)  # the false alarm, if it is one, is over in a round trip
        elif result is not Failure.LOCAL:
            endpoint.responded(now)
        return result

    async def _try_open(self, endpoint: LiveEndpoint) -> UpstreamConnection | Failure:
        connection = UpstreamConnection(endpoint, self._wheel, self.memo, self._buffers, self.backlog)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._loop.create_connection(
                    cast(Callable[[], asyncio.Protocol], lambda: connection), endpoint.address, endpoint.port
                )
        except TimeoutError:
            return Failure.CONNECT_TIMEOUT
        except (ConnectionRefusedError, ConnectionResetError):  # the latter: by a listener that is closing
            return Failure.REFUSED
        except OSError as error:
            return Failure.LOCAL if error.errno in _LOCAL_ERRORS else Failure.UNREACHABLE
        if connection.transport.is_closing():
            return Failure.REFUSED  # accepted and closed in the same moment: nothing was sent
        return connection


def _answer(question: asyncio.Future[bool], is_answered: bool) -> None:
    if not question.done():  # the worker may be ending
        question.set_result(is_answered)
