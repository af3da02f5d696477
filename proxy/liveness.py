"""A worker's end of the liveness page: a count that grows as long as the event loop turns."""

import asyncio
import faulthandler
import mmap
import os
import signal

from proxy.model.liveness import COUNTER, PAGE_BYTES, TURN_S


class Liveness:
    """Notes ten times a second that the loop turns: eight bytes written to memory, no system call."""

    def __init__(self, fd: int) -> None:
        """`fd` is the inherited file of the page. Raises OSError, ValueError when it is no such file."""
        self._page = mmap.mmap(fd, PAGE_BYTES)
        self._turns = 0
        os.lseek(fd, PAGE_BYTES, os.SEEK_SET)
        # Written by a signal handler in C, so that a thread that never comes back to Python answers, too:
        # files, lines and names of functions, no values
        faulthandler.register(signal.SIGQUIT, fd, all_threads=False)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        COUNTER.pack_into(self._page, 0, self._turns)
        loop.call_later(TURN_S, self.start, loop)
