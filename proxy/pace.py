"""Long work on the event loop, in slices: requests wait for one slice, not for all of the work."""

import asyncio
import gc
from time import perf_counter
from typing import Final

SLICE_S: Final = 0.0005
_YOUNG: Final = 5000  # objects; the collector needs some 0.3 ms for them


class Pace:
    """The slices of a piece of work, which asks `is_over` between steps of a fraction of a millisecond.

    Work that leaves many objects behind would also have the collector walk all of them, and again
    whenever a generation fills up: 140 ms at once, measured with 100,000 routes. So the young are
    collected slice by slice, and the survivors are put where the collector does not look.
    """

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end = perf_counter() + SLICE_S

    def is_over(self) -> bool:
        return perf_counter() >= self._end

    async def rest(self) -> None:
        """Let all other ready callbacks run; a new slice begins."""
        if gc.get_count()[0] > _YOUNG:
            gc.collect(0)
            gc.freeze()
        await asyncio.sleep(0)
        self._end = perf_counter() + SLICE_S
