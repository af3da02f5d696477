"""How long an event loop is held up by one turn."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`longest_s` is CPU time of the loop's thread: what else the machine does has no part in it."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.0005)
            self.longest_s = max(self.longest_s, time.thread_time() - before)


@asynccontextmanager
async def turns() -> AsyncIterator[Turns]:
    """Watch the turns of this loop. The collector is spared what earlier tests left, which takes it 0.2 s."""
    gc.collect()
    gc.freeze()
    watched = Turns()
    task = asyncio.create_task(watched.watch())
    await asyncio.sleep(0)
    try:
        yield watched
    finally:
        task.cancel()
