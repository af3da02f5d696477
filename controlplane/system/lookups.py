"""Lookups of host names by the operating system. A lookup without an answer does not delay the others.

`getaddrinfo` blocks its thread, for half a minute where no DNS server answers, and cannot be stopped. So a
lookup holds one of a few slots only for PATIENCE_S, and goes on without a slot after that. The number of
such overdue lookups is bounded; names that were overdue before leave half of it to unknown names.
"""

import asyncio
import contextlib
import heapq
import socket
import threading
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from typing import Final

SLOTS: Final = 16
PATIENCE_S: Final = 0.25
"""Seconds that a lookup holds its slot. An answer from a cache takes a millisecond."""

MAX_OVERDUE: Final = 128
"""Threads of lookups that had no answer in that time."""

GIVE_UP_S: Final = 10.0
"""Then the callers get an error; the name is not looked up again before its thread has ended."""

Addresses = tuple[str, ...]


class _Turn(IntEnum):
    """Order of waiting names: those that answered in time, new ones, those that did not answer."""

    PROMPT = 0
    UNKNOWN = 1
    SLOW = 2


class _Running:
    """The lookup of one name, in its thread."""

    __slots__ = ("answer", "has_slot", "host", "is_late", "patience")

    def __init__(self, host: str, answer: "asyncio.Future[Addresses]", patience: asyncio.TimerHandle) -> None:
        self.host = host
        self.answer = answer
        self.patience = patience
        self.has_slot = True
        self.is_late = False


class Lookups:
    """For one event loop. `resolve` blocks; it returns the addresses of a name, or raises OSError."""

    def __init__(
        self,
        resolve: Callable[[str], Addresses] | None = None,
        *,
        slots: int = SLOTS,
        patience_s: float = PATIENCE_S,
        max_overdue: int = MAX_OVERDUE,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self._resolve = resolve or _getaddrinfo
        self._free = slots
        self._patience_s = patience_s
        self._max_overdue = max_overdue
        self._give_up_s = give_up_s
        self._running: dict[str, _Running] = {}
        self._turns: dict[str, _Turn] = {}  # of names that were looked up before
        self._waiting: list[tuple[_Turn, int, asyncio.Future[None]]] = []
        self._order = count()
        self._overdue = 0

    async def lookup(self, host: str) -> Addresses:
        """Return the addresses of a name. Raises OSError, UnicodeError."""
        if host not in self._running:
            await self._slot(self._turns.get(host, _Turn.UNKNOWN))
            self._start(host)
        answer = self._running[host].answer
        await asyncio.wait((answer,), timeout=self._give_up_s)
        if not answer.done():
            raise TimeoutError(f"no answer within {self._give_up_s:g} s")
        return answer.result()

    def forget(self, host: str) -> None:
        """Forget how a name was answered that no caller asks for any more."""
        self._turns.pop(host, None)

    async def _slot(self, turn: _Turn) -> None:
        """Wait for a slot and take it."""
        if self._free > 0 and self._may_start(turn):
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (turn, next(self._order), granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give_back()
            raise

    def _may_start(self, turn: _Turn) -> bool:
        return turn is not _Turn.SLOW or self._overdue < self._max_overdue // 2

    def _grant(self) -> None:
        """Give free slots to waiting callers in order; a caller that may not start blocks those behind."""
        while self._free > 0 and self._waiting and self._may_start(self._waiting[0][0]):
            granted = heapq.heappop(self._waiting)[2]
            if not granted.done():
                self._free -= 1
                granted.set_result(None)

    def _start(self, host: str) -> None:
        if host in self._running:  # another caller started the lookup while this one waited
            self._give_back()
            return
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Addresses] = loop.create_future()
        patience = loop.call_later(self._patience_s, self._out_of_patience, host)
        self._running[host] = _Running(host, answer, patience)
        answer.add_done_callback(lambda _: self._ended(host))

        def work() -> None:
            try:
                found: Addresses | Exception = self._resolve(host)
            except Exception as error:  # callers have to get every exception
                found = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(_settle, answer, found)

        # A daemon, so that no lookup without an answer holds up the end of the process
        try:
            threading.Thread(target=work, name=f"resolve {host}", daemon=True).start()
        except RuntimeError as error:
            _settle(answer, OSError(str(error)))

    def _out_of_patience(self, host: str) -> None:
        running = self._running[host]
        running.is_late = True
        self._turns[host] = _Turn.SLOW
        if self._overdue < self._max_overdue:
            self._overdue += 1
            running.has_slot = False
            self._give_back()

    def _ended(self, host: str) -> None:
        running = self._running.pop(host)
        running.patience.cancel()
        if not running.is_late:
            self._turns[host] = _Turn.PROMPT
        if running.has_slot:
            self._give_back()
        else:
            self._overdue -= 1
            self._grant()

    def _give_back(self) -> None:
        self._free += 1
        self._grant()


def _settle(future: "asyncio.Future[Addresses]", answer: Addresses | Exception) -> None:
    if isinstance(answer, Exception):
        future.set_exception(answer)
        future.exception()  # mark as retrieved: there may be no caller left
    else:
        future.set_result(answer)


def _getaddrinfo(host: str) -> Addresses:
    """Return the addresses, without those of a family that this machine has no address of."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(str(address[0]) for *_, address in found)
