"""Fair turns of the event loop: input beyond a connection's quantum waits for later turns.

One read can bring thousands of pipelined requests, chunks or interim responses. A connection processes
one quantum of them at once and is listed here with the rest; it is not read from meanwhile. Listed
connections take turns, each with one quantum, for a slice of every turn of the loop (deficit round robin).
As fq_codel does with packets (RFC 8290 §4.1), connections that are listed for the first time come before
those that have had a quantum, and one that brought more than half a quantum stays listed until its turn finds
nothing: so the requests of a client that sends one at a time never wait for those of a client that floods.

What many connections bring in one turn is bounded too: once it has lasted for TURN_S, each connection that
is read from is listed with what it received.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final, Protocol

QUANTUM: Final = 16
"""Messages that one connection may bring per turn; each 512 bytes of a head count as one more."""
_LOG_COST_BYTES: Final = 9
FREE: Final = 64
"""Messages, of one turn or of several, after which the age of the turn is looked at."""
TURN_S: Final = 0.005
"""Input that is read so much later in the same turn is listed, whatever its connection."""
SLICE_S: Final = 0.003
"""Of each turn, for listed connections: at most one quantum more."""
READERS: Final = 16
"""Listed connections that are read from again, per turn: each may bring a read of 256 KB."""
READ_BYTES: Final = 1 << 18
"""At once: as much as the event loop reads for protocols that have no buffers of their own."""
FEW_BYTES: Final = 4096
"""Read at once when a turn is over: what is not read waits in the kernel."""
_LOG_UNIT_BYTES: Final = 14

LIGHT: Final = QUANTUM // 2
"""What brings no more than this at a time is no flood, however often it comes."""

GONE, READS, WAITS = range(3)
"""What a connection says after its turn: no flood, or nothing waited; all is processed; more waits."""


class Flow(Protocol):
    """A connection with input that waits."""

    is_listed: bool

    def proceed(self) -> int:
        """Process one quantum of what waits; return GONE, READS or WAITS."""


def cost(size: int) -> int:
    """Return how much of a quantum a message with a head of `size` bytes uses up."""
    return 1 + (size >> _LOG_COST_BYTES)


def body_cost(size: int) -> int:
    """Return how much of a quantum `size` bytes of a body use up."""
    return 1 + (size >> _LOG_UNIT_BYTES)


def chunks_cost(size: int) -> int:
    """Return how much more `size` bytes use up that may be tiny chunks."""
    return size >> _LOG_COST_BYTES


class Backlog:
    """One per worker. `left` counts messages down to the next look at the clock, so that they cost little."""

    __slots__ = ("_is_scheduled", "_loop", "_new", "_old", "_turn_end", "deferred", "few", "left", "many")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._new: deque[Flow] = deque()
        self._old: deque[Flow] = deque()
        self._is_scheduled = False
        self._turn_end = 0.0  # monotonic; 0 until the clock has been looked at in this turn
        self.left = FREE
        self.many = memoryview(bytearray(READ_BYTES))  # what was read is copied out of it at once
        self.few = self.many[:FEW_BYTES]
        self.deferred = 0  # how often a connection was listed

    def is_over(self) -> bool:
        """Whether this turn has had enough of new input. Asked when nothing is `left`."""
        now = monotonic()
        if not self._turn_end:
            self._turn_end = now + TURN_S
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

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """A turn has begun: give connections theirs, each one at most, for the length of a slice."""
        self._is_scheduled = False
        self._turn_end = 0.0
        self.left = FREE
        end = monotonic() + SLICE_S
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
            if not readers or monotonic() >= end:
                break
        if self._new or self._old:
            self._schedule()
