"""A worker that notes its longest turn: `python -m loadtest.hostile.worker TURNS` and a worker's options.

TURNS is a file of eight bytes, shared with the program that reads it: the longest turn of the event loop
in seconds of CPU time, as a native double. A timer is due every millisecond, and timers are called once a
turn, so a turn comes out too long by up to one millisecond, and never too short.
"""

import asyncio
import mmap
import struct
import sys
from pathlib import Path
from time import thread_time
from typing import Final

import proxy.worker

SECONDS: Final = struct.Struct("d")
EVERY_S: Final = 0.001


class TurnClock:
    """Measures the CPU time between two calls of the loop's timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, longest: mmap.mmap) -> None:
        self._loop = loop
        self._longest = longest
        self._before = thread_time()
        loop.call_later(EVERY_S, self._tick)

    def _tick(self) -> None:
        now = thread_time()
        took, self._before = now - self._before, now
        if took > SECONDS.unpack_from(self._longest)[0]:
            SECONDS.pack_into(self._longest, 0, took)
        self._loop.call_later(EVERY_S, self._tick)


class MeasuredWorker(proxy.worker.Worker):
    """A worker whose turns are measured from its first one on."""

    def __init__(self, options: proxy.worker.Options, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(options, loop)
        self._clock = TurnClock(loop, shared(_turns))


def shared(path: Path) -> mmap.mmap:
    """Return the memory of the file of one double; it is created if it is not there."""
    with path.open("a+b") as file:
        file.truncate(SECONDS.size)
        return mmap.mmap(file.fileno(), SECONDS.size)


if __name__ == "__main__":
    _turns = Path(sys.argv.pop(1))
    proxy.worker.Worker = MeasuredWorker  # type: ignore[misc]
    sys.exit(proxy.worker.main())
