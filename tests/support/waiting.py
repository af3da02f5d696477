"""Waiting for a condition with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], deadline_s: float = 10.0, what: str = "") -> None:
    """Return as soon as the condition holds; fail the test after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[object]], deadline_s: float, what: str) -> None:
    """Like `until`, for a condition that has to be asked for."""
    end = time.monotonic() + deadline_s
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        await asyncio.sleep(0.05)
