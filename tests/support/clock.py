"""Time as tests want it: it moves when told to, or whenever somebody sleeps."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from controlplane.kube.clock import Clock
from tests.support.waiting import until

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """`auto`: a sleep returns at once and moves the time; otherwise sleepers wait for `advance`."""

    def __init__(self, *, auto: bool = True, chance: float = 0.0) -> None:
        self.sleeps: list[float] = []
        self.now_s = 1000.0
        self._auto = auto
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._ids = itertools.count()
        self.clock = Clock(lambda: self.now_s, self._now, self._sleep, lambda: chance)

    async def advance(self, seconds: float) -> None:
        """Move the time, waking each sleeper at its own moment."""
        end = self.now_s + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now_s, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)
            await asyncio.sleep(0.001)  # let it run, and a loopback exchange of its with it
        self.now_s = end
        await asyncio.sleep(0)

    async def asleep(self) -> None:
        """Return when somebody sleeps."""
        await until(lambda: any(not sleeper.done() for _, _, sleeper in self._sleepers))

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if self._auto:
            self.now_s += seconds
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, next(self._ids), sleeper))
        await sleeper
