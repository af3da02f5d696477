"""Fair turns of the event loop: input beyond a connection's quantum waits for later turns.

One read can bring thousands of pipelined requests, chunks or interim responses. A connection processes
one quantum of them at once and is listed here with the rest; it is not read from meanwhile. Listed
connections take turns, each with one quantum, for a slice of every turn of the loop (deficit round robin).
As fq_codel does with packets (RFC 8290 §4.1), connections that are listed for the first time come before
those that have had a quantum, and one that brought more than half a quantum stays listed until its turn finds
nothing: so the requests of a client that sends one at a time never wait for those of a client that floods.

The input of many connections in one turn is bounded too: once the turn has lasted for TURN_S, each connection
that is read from is listed with its input. Work that no read brings, and that cannot be divided, is listed
likewise: to open a connection, to send a body again, to drop a connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from proxy.clock import Clock

QUANTUM: Final = 16
"""Messages that one connection may bring per turn; each 512 bytes of a head count as one more."""
LOG_COST_BYTES: Final = 9
"""A head uses up 1 + (its size >> LOG_COST_BYTES) of a quantum."""
FREE: Final = 64
"""Messages after which the clock is read again, to see how old the turn is."""
TURN_S: Final = 0.005
"""Length of a turn. Input of any connection that is read later in the turn is listed."""
SLICE_S: Final = 0.003
"""Part of each turn for listed connections, and at most one quantum more; TURN_S includes it."""
LEAST_S: Final = 0.002
"""Least part of a turn for input that is read, however long the slice took."""
_WORK_S: Final = 0.0015  # part of a slice for work that waits; listed connections come after
WORK_COST: Final = 4
"""Cost of a piece of such work, in messages: 100 µs for a connection that is opened."""
DROPS: Final = 16
"""Connections that are dropped per turn. The kernel takes 0.2 ms, a turn later, to throw the megabytes of one
away, and clients may leave by hundreds."""
READERS: Final = 16
"""Listed connections that are read from again, per turn: each may bring a read of 256 KB."""
READ_BYTES: Final = 1 << 18
"""Size of a usual read: that of the event loop for protocols that have no buffers of their own."""
FEW_BYTES: Final = 4096
"""Size of a read when a turn is over; the rest waits in the kernel."""
_LOG_UNIT_BYTES: Final = 14

LIGHT: Final = QUANTUM // 2
"""Cost of input, in messages, that is no flood, however often such input comes."""

GONE, READS, WAITS = range(3)
"""Outcomes of a connection's turn: no flood, or nothing waited; all is processed; more waits."""


class Flow(Protocol):
    """A connection with input that waits."""

    is_listed: bool

    def proceed(self) -> int:
        """Process one quantum of the waiting input; return GONE, READS or WAITS."""


def body_cost(size: int) -> int:
    """Return the part of a quantum that `size` bytes of a body use up."""
    return 1 + (size >> _LOG_UNIT_BYTES)


def chunks_cost(size: int) -> int:
    """Return the further part that `size` bytes use up because they may be tiny chunks."""
    return size >> LOG_COST_BYTES


class Backlog:
    """The backlog of a worker. `left` counts messages down to the next look at the clock."""

    __slots__ = (
        "_clock", "_drops", "_drops_left", "_is_scheduled", "_loop", "_new", "_old", "_turn_end", "_turn_s",
        "_work", "deferred", "few", "left", "many",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._new: deque[Flow] = deque()
        self._old: deque[Flow] = deque()
        self._work: dict[object, deque[tuple[Callable[[], None], int]]] = {}  # by endpoint
        self._drops: deque[Callable[[], None]] = deque()
        self._drops_left = DROPS
        self._is_scheduled = False
        self._turn_s = TURN_S  # part of this turn for input that is read
        self._turn_end = 0.0  # monotonic; 0 until the clock has been looked at in this turn
        self.left = FREE
        self.many = memoryview(bytearray(READ_BYTES))  # buffer of every read, which is copied out at once
        self.few = self.many[:FEW_BYTES]
        self.deferred = 0  # number of times that a connection was listed

    def is_over(self) -> bool:
        """Whether this turn has had enough of new input. Asked when nothing is `left`."""
        now = self._clock.now()
        if not self._turn_end:
            self._turn_end = now + self._turn_s
            self._schedule()
        elif now >= self._turn_end:
            return True
        self.left = QUANTUM
        return False

    def add(self, flow: Flow, *, is_new: bool) -> None:
        """List a connection; `is_new`: it has not had a quantum in this turn."""
        if flow.is_listed:
            return
        flow.is_listed = True
        self.deferred += 1
        (self._new if is_new else self._old).append(flow)
        self._schedule()

    def do(self, work: Callable[[], None], endpoint: object, size: int = 0) -> None:
        """Do a piece of work: at once, or in a later turn, where this turn is over.

        Endpoints take turns: the requests for one of them never wait for those that flood another one.
        `size`: bytes of the body that the work sends.
        """
        cost = WORK_COST + (size >> _LOG_UNIT_BYTES)
        if self._work or (self.left < 0 and self.is_over()):
            self._work.setdefault(endpoint, deque()).append((work, cost))
            self.deferred += 1
            self._schedule()
        else:
            self.left -= cost
            work()

    def drop(self, abort: Callable[[], None]) -> bool:
        """Drop a connection, by its transport's `abort`: at once, or in a later turn; then return False."""
        self._schedule()
        if self._drops_left <= 0:
            self._drops.append(abort)
            return False
        self._drops_left -= 1
        abort()
        return True

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Give listed connections their turns, one each at most, for the length of a slice."""
        self._is_scheduled = False
        self._turn_end = 0.0
        self._turn_s = TURN_S
        self.left = FREE
        begun = self._clock.now()
        self._drop_some()
        self._do_some(begun + _WORK_S)
        self._proceed_some(begun + SLICE_S)
        self._turn_s = max(TURN_S - (self._clock.now() - begun), LEAST_S)
        if self._new or self._old or self._work or self._drops:
            self._schedule()

    def _drop_some(self) -> None:
        now = min(len(self._drops), DROPS)
        self._drops_left = DROPS - now
        for _ in range(now):
            self._drops.popleft()()

    def _do_some(self, end: float) -> None:
        while self._work:
            endpoint = next(iter(self._work))
            waiting = self._work.pop(endpoint)
            work, cost = waiting.popleft()
            if waiting:
                self._work[endpoint] = waiting
            self.left -= cost
            work()
            if self._clock.now() >= end:
                return

    def _proceed_some(self, end: float) -> None:
        readers = READERS
        for _ in range(len(self._new) + len(self._old)):
            flow = self._new.popleft() if self._new else self._old.popleft()
            outcome = flow.proceed()
            if outcome == GONE:
                flow.is_listed = False
            else:
                self._old.append(flow)
            if outcome == READS:
                readers -= 1
            if not readers or self._clock.now() >= end:
                return
